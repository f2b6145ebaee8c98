#include "os/vault.h"

#include <sys/mman.h>

#include "base/buf.h"

void *qp_vault_new(size_t bytes)
{
    void *vault = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (vault == MAP_FAILED)
        return NULL;
        /* Best effort: an old kernel lacks one or the other, and the keys are no worse off than any
         * other memory then. */
#ifdef MADV_DONTDUMP
    madvise(vault, bytes, MADV_DONTDUMP);
#endif
#ifdef MADV_WIPEONFORK
    madvise(vault, bytes, MADV_WIPEONFORK);
#endif
    return vault;
}

void qp_vault_free(void *vault, size_t bytes)
{
    if (vault == NULL)
        return;
    qp_wipe(vault, bytes);
    munmap(vault, bytes);
}
