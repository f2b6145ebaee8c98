/* Replays every file of a folder through a fuzz target, without a fuzzer: one line of TAP each. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 20 };

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int replay(const char *dir, const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(INPUT_MAX);
    if (f == NULL || data == NULL)
        abort();
    size_t size = fread(data, 1, INPUT_MAX, f);
    int broken = ferror(f);
    fclose(f);
    /* At its exact size, as a fuzzer hands it over. */
    uint8_t *exact = realloc(data, size + (size == 0));
    if (exact == NULL)
        abort();
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return broken == 0;
}

int main(int argc, char **argv)
{
    struct dirent **entry;
    int failed = 0, count = argc == 2 ? scandir(argv[1], &entry, visible, alphasort) : -1;
    if (count < 0) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    LLVMFuzzerInitialize(&argc, &argv);
    printf("1..%d\n", count);
    for (int i = 0; i < count; i++) {
        int ok = replay(argv[1], entry[i]->d_name);
        printf("%sok %d - %s\n", ok ? "" : "not ", i + 1, entry[i]->d_name);
        fflush(stdout); /* an input that aborts is the one after the last line */
        failed += !ok;
        free(entry[i]);
    }
    free(entry);
    return failed == 0 ? 0 : 1;
}
