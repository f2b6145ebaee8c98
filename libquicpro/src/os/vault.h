/* Memory for secrets: zeroed, not in core dumps, empty in a child after fork() where the kernel can
 * do that. */
#ifndef QP_OS_VAULT_H
#define QP_OS_VAULT_H

#include <stddef.h>

/* Aligned to a page. NULL: out of memory. */
void *qp_vault_new(size_t bytes);
/* Zeroes and frees. vault may be NULL; bytes as at its making. */
void qp_vault_free(void *vault, size_t bytes);

#endif
