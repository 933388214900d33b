/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Programs of any bytes: every stage, the first wave, and one more; and the formatter, which must never change what they say. A
 * NUL byte ends /main.mcl; what follows it is /lib.mcl. */

#include <stdint.h>

#include "lang/format.h"
#include "tests/lang/mock-host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(lang_freep) Lang *l = NULL;
        _cleanup_(diags_done) Diags errors = {};
        _cleanup_(diag_done) Diag error = {};
        _cleanup_(change_set_done) ChangeSet first = {}, second = {};
        _cleanup_(diag_done) Diag format_error = {};
        _cleanup_free_ char *main_text = strndup((const char *) data, size), *lib = NULL, *formatted = NULL;
        size_t formatted_size;

        if (!main_text)
                return 0;
        size_t n = strlen(main_text);
        lib = n < size ? strndup((const char *) data + n + 1, size - n - 1) : strdup("$x = 1\n");
        if (!lib)
                return 0;
        if (format_text("/main.mcl", main_text, n, &formatted, &formatted_size, &format_error) == -ENOTRECOVERABLE)
                abort();
        const MockFile files[] = { { "/main.mcl", main_text }, { "/lib.mcl", lib }, {} };
        if (mock_compile(&l, files, NULL, &errors) < 0) {
                for (size_t i = 0; i < errors.n; i++) {
                        _cleanup_free_ _unused_ char *line = lang_error_text(&errors.items[i]);
                        _cleanup_free_ _unused_ char *page = diag_render(&errors.items[i], main_text, n, false);
                }
                return 0;
        }
        if (lang_start(l, &first, &error) >= 0)
                (void) lang_step(l, &second, &error);
        return 0;
}
