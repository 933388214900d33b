/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* As whom to ask AWS: where its own tools look as well. */

#include "common/diag.h"

typedef struct AwsCredentials {
        char *user, *secret;            /* the access key and its secret */
        char *session;                  /* of one that is for a while only; NULL: none */
} AwsCredentials;

/* In the order of what counts: $AWS_ACCESS_KEY_ID, $AWS_SECRET_ACCESS_KEY and $AWS_SESSION_TOKEN; the file
 * $AWS_SHARED_CREDENTIALS_FILE, the credential of systemd aws.credentials, or ~/.aws/credentials, of which the section $AWS_PROFILE (or
 * "default") is read. -ENOKEY: there are none, and the reason is recorded. */
int aws_credentials_find(AwsCredentials *ret, Pos pos, Diag *reterr);
void aws_credentials_done(AwsCredentials *c);

/* From such a file. -ENOKEY: the section has none. */
int aws_credentials_parse(const char *text, const char *profile, AwsCredentials *ret);
