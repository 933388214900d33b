/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <sodium.h>

#include "common/sign/digest.h"

void sha256_text(const void *data, size_t size, char ret[static SHA256_TEXT_SIZE]) {
        unsigned char hash[crypto_hash_sha256_BYTES];

        _Static_assert(SHA256_TEXT_SIZE == 2 * sizeof(hash) + 1, "two digits a byte");
        (void) crypto_hash_sha256(hash, data, size);
        (void) sodium_bin2hex(ret, SHA256_TEXT_SIZE, hash, sizeof(hash));
}
