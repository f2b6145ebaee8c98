//! Socket addresses between C and Rust.

use libc::{sockaddr, sockaddr_in, sockaddr_in6, AF_INET, AF_INET6};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// SAFETY: `addr` points to a sockaddr_in or sockaddr_in6; any other family gives `None`.
pub unsafe fn read(addr: *const sockaddr) -> Option<SocketAddr> {
    // SAFETY: as above, the family says which struct it is.
    unsafe {
        match i32::from((*addr).sa_family) {
            AF_INET => {
                let a = addr.cast::<sockaddr_in>().read_unaligned();
                let ip = Ipv4Addr::from(u32::from_be(a.sin_addr.s_addr));
                Some(SocketAddrV4::new(ip, u16::from_be(a.sin_port)).into())
            }
            AF_INET6 => {
                let a = addr.cast::<sockaddr_in6>().read_unaligned();
                let ip = Ipv6Addr::from(a.sin6_addr.s6_addr);
                let port = u16::from_be(a.sin6_port);
                Some(SocketAddrV6::new(ip, port, a.sin6_flowinfo, a.sin6_scope_id).into())
            }
            _ => None,
        }
    }
}

/// SAFETY: `out` has room for a sockaddr_in6.
pub unsafe fn write(addr: SocketAddr, out: *mut sockaddr) {
    // SAFETY: as above; both structs are plain data for which zero is valid.
    unsafe {
        match addr {
            SocketAddr::V4(a) => {
                let mut s: sockaddr_in = std::mem::zeroed();
                s.sin_family = AF_INET as libc::sa_family_t;
                s.sin_port = a.port().to_be();
                s.sin_addr.s_addr = u32::from(*a.ip()).to_be();
                out.cast::<sockaddr_in>().write_unaligned(s);
            }
            SocketAddr::V6(a) => {
                let mut s: sockaddr_in6 = std::mem::zeroed();
                s.sin6_family = AF_INET6 as libc::sa_family_t;
                s.sin6_port = a.port().to_be();
                s.sin6_flowinfo = a.flowinfo();
                s.sin6_scope_id = a.scope_id();
                s.sin6_addr.s6_addr = a.ip().octets();
                out.cast::<sockaddr_in6>().write_unaligned(s);
            }
        }
    }
}
