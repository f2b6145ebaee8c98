//! Names the engine after the header it implements: the symbol `qp_engine_abi_<hash>` links only
//! with C code that was compiled against the same `qp_engine.h`.

use std::{env, fs, path::Path};

fn main() {
    println!("cargo:rerun-if-changed=qp_engine.h");
    println!("cargo:rerun-if-changed=build.rs");
    let header = fs::read("qp_engine.h").expect("qp_engine.h is beside Cargo.toml");
    let hash: String = sha256(&header)[..8]
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let out = Path::new(&env::var("OUT_DIR").expect("cargo sets OUT_DIR")).join("abi.rs");
    let code = format!(
        "/// Marks the version of qp_engine.h that this engine implements.\n\
         #[no_mangle]\npub static qp_engine_abi_{hash}: u8 = 1;\n"
    );
    fs::write(out, code).expect("OUT_DIR is writable");
}

/// SHA-256 (FIPS 180-4): the only thing a build script needs from a cryptography crate.
fn sha256(data: &[u8]) -> [u8; 32] {
    let primes: Vec<u32> = (2u32..)
        .filter(|n| (2..*n).take_while(|d| d * d <= *n).all(|d| n % d != 0))
        .take(64)
        .collect();
    // The constants are the first 32 bits of the fractional parts of the roots of the primes.
    let frac = |root: f64| ((root - root.floor()) * 4294967296.0) as u32;
    let k: Vec<u32> = primes.iter().map(|&p| frac(f64::from(p).cbrt())).collect();
    let mut h: Vec<u32> = primes[..8]
        .iter()
        .map(|&p| frac(f64::from(p).sqrt()))
        .collect();

    let mut message = data.to_vec();
    message.push(0x80);
    while message.len() % 64 != 56 {
        message.push(0);
    }
    message.extend_from_slice(&(data.len() as u64 * 8).to_be_bytes());

    for block in message.chunks(64) {
        let mut w: Vec<u32> = block
            .chunks(4)
            .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        for i in 16..64 {
            let s0 = w[i - 15].rotate_right(7) ^ w[i - 15].rotate_right(18) ^ (w[i - 15] >> 3);
            let s1 = w[i - 2].rotate_right(17) ^ w[i - 2].rotate_right(19) ^ (w[i - 2] >> 10);
            w.push(
                w[i - 16]
                    .wrapping_add(s0)
                    .wrapping_add(w[i - 7])
                    .wrapping_add(s1),
            );
        }
        let mut v = h.clone();
        for i in 0..64 {
            let s1 = v[4].rotate_right(6) ^ v[4].rotate_right(11) ^ v[4].rotate_right(25);
            let choice = (v[4] & v[5]) ^ (!v[4] & v[6]);
            let t1 = v[7]
                .wrapping_add(s1)
                .wrapping_add(choice)
                .wrapping_add(k[i])
                .wrapping_add(w[i]);
            let s0 = v[0].rotate_right(2) ^ v[0].rotate_right(13) ^ v[0].rotate_right(22);
            let majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
            let t2 = s0.wrapping_add(majority);
            v.rotate_right(1);
            v[4] = v[4].wrapping_add(t1);
            v[0] = t1.wrapping_add(t2);
        }
        for (a, b) in h.iter_mut().zip(&v) {
            *a = a.wrapping_add(*b);
        }
    }
    let mut out = [0; 32];
    for (bytes, word) in out.chunks_mut(4).zip(&h) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    out
}
