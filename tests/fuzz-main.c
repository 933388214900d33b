/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Stands in for libFuzzer where it is not linked: runs a fuzz program over the files of its seed folders, one test case per
 * file. So each input that once broke something stays a regression test, in every build, the sanitizers' too. */

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *read_file(const char *path, size_t *ret_size) {
        FILE *f = fopen(path, "re");
        if (!f)
                return NULL;

        uint8_t *data = NULL;
        if (fseek(f, 0, SEEK_END) == 0) {
                long end = ftell(f);

                rewind(f);
                /* The exact size, so that a sanitizer sees a read past the end. */
                if (end >= 0 && (data = malloc(end > 0 ? (size_t) end : 1)))
                        *ret_size = fread(data, 1, (size_t) end, f);
        }
        fclose(f);
        return data;
}

static int not_hidden(const struct dirent *d) {
        return d->d_name[0] != '.';
}

int main(int argc, char *argv[]) {
        unsigned n = 0, n_failed = 0;

        setvbuf(stdout, NULL, _IOLBF, 0);
        for (int i = 1; i < argc; i++) {
                struct dirent **entries = NULL;
                int n_entries = scandir(argv[i], &entries, not_hidden, alphasort);

                if (n_entries < 0) {
                        printf("Bail out! cannot read %s: %s\n", argv[i], strerror(errno));
                        return EXIT_FAILURE;
                }
                for (int k = 0; k < n_entries; k++) {
                        char path[PATH_MAX];
                        size_t size = 0;

                        snprintf(path, sizeof(path), "%s/%s", argv[i], entries[k]->d_name);
                        printf("# %s\n", path);
                        uint8_t *data = read_file(path, &size);
                        if (data)
                                (void) LLVMFuzzerTestOneInput(data, size);
                        else
                                n_failed++;
                        printf("%s %u - %s\n", data ? "ok" : "not ok", ++n, entries[k]->d_name);
                        free(data);
                        free(entries[k]);
                }
                free(entries);
        }
        printf("1..%u\n", n);
        return n_failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
