#ifndef QP_H3_VERSION_H
#define QP_H3_VERSION_H

/* Version of nghttp3, such as "1.18.0". */
const char *qp_h3_version(void);

#endif
