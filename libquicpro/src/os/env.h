/* The environment of the process. */
#ifndef QP_OS_ENV_H
#define QP_OS_ENV_H

/* A variable; NULL: not set, or not to be trusted because the process has more rights than its user
 * (setuid, setgid, capabilities of the file). Borrowed until the environment changes. */
const char *qp_env_get(const char *name);

#endif
