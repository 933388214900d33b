/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Sections with lines of "name = value". Whatever cannot be part of a header or a signature is no key. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/io.h"
#include "common/macro.h"
#include "daemons/http/aws-credentials.h"
#include "daemons/http/service-call.h"

enum { FILE_MAX = 64 * 1024 };

static void wipe(char *s) {
        if (s)
                explicit_bzero(s, strlen(s));
        free(s);
}

void aws_credentials_done(AwsCredentials *c) {
        wipe(c->user);
        wipe(c->secret);
        wipe(c->session);
        *c = (AwsCredentials) {};
}

static bool is_blank(char c) {
        return c == ' ' || c == '\t' || c == '\r';
}

static void trim(const char **s, size_t *size) {
        while (*size > 0 && is_blank(**s)) {
                (*s)++;
                (*size)--;
        }
        while (*size > 0 && is_blank((*s)[*size - 1]))
                (*size)--;
}

static bool is_section(const char *line, size_t size, const char *profile) {
        const char *name = line + 1;
        size_t n = size - 2;

        if (line[size - 1] != ']')
                return false;
        trim(&name, &n);
        return n == strlen(profile) && memcmp(name, profile, n) == 0;
}

static int take_line(const char *line, size_t size, AwsCredentials *ret) {
        struct {
                const char *name;
                char **to;
        } const names[] = { { "aws_access_key_id", &ret->user }, { "aws_secret_access_key", &ret->secret },
                            { "aws_session_token", &ret->session } };
        const char *equals = memchr(line, '=', size), *value;
        size_t n, n_value;

        if (!equals)
                return 0;
        value = equals + 1;
        n = (size_t) (equals - line);
        n_value = size - n - 1;
        trim(&line, &n);
        trim(&value, &n_value);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                if (n != strlen(names[i].name) || memcmp(line, names[i].name, n) != 0)
                        continue;
                wipe(*names[i].to);
                *names[i].to = strndup(value, n_value);
                return *names[i].to ? 0 : -ENOMEM;
        }
        return 0;
}

static bool is_usable(const AwsCredentials *c) {
        return c->user && *c->user && c->secret && *c->secret && service_token_is_valid(c->user) && service_token_is_valid(c->secret) &&
                (!c->session || service_token_is_valid(c->session));
}

int aws_credentials_parse(const char *text, const char *profile, AwsCredentials *ret) {
        bool ours = false;
        int r = 0;

        while (*text && r >= 0) {
                const char *line = text;
                size_t size = strcspn(text, "\n");
                text += size + (text[size] == '\n');
                trim(&line, &size);
                if (size == 0 || *line == '#' || *line == ';')
                        continue;
                if (*line == '[')
                        ours = size > 1 && is_section(line, size, profile);
                else if (ours)
                        r = take_line(line, size, ret);
        }
        if (r >= 0 && !is_usable(ret))
                r = -ENOKEY;
        if (r < 0)
                aws_credentials_done(ret);
        return r;
}

static const char *given(const char *name) {
        const char *value = getenv(name);

        return value && *value ? value : NULL;
}

static int from_environment(AwsCredentials *ret) {
        const char *session = given("AWS_SESSION_TOKEN");

        ret->user = strdup(getenv("AWS_ACCESS_KEY_ID"));
        ret->secret = strdup(getenv("AWS_SECRET_ACCESS_KEY"));
        ret->session = session ? strdup(session) : NULL;
        if (!ret->user || !ret->secret || (session && !ret->session))
                return -ENOMEM;
        return is_usable(ret) ? 0 : -ENOKEY;
}

static int find_file(char **ret) {
        const char *file = given("AWS_SHARED_CREDENTIALS_FILE"), *directory = given("CREDENTIALS_DIRECTORY"), *home = given("HOME");
        int r = 0;

        *ret = NULL;
        if (file)
                return (*ret = strdup(file)) ? 0 : -ENOMEM;
        if (directory)
                r = asprintf(ret, "%s/aws.credentials", directory);
        if (r > 0 && access(*ret, F_OK) == 0)
                return 0;
        if (r > 0)
                free(TAKE_PTR(*ret));
        if (r >= 0)
                r = asprintf(ret, "%s/.aws/credentials", home ?: "");
        if (r >= 0)
                return 0;
        *ret = NULL;
        return -ENOMEM;
}

static int from_file(const char *path, Pos pos, AwsCredentials *ret, Diag *reterr) {
        const char *profile = given("AWS_PROFILE") ?: "default";
        char *text;
        size_t size;
        int r = read_file_at(AT_FDCWD, path, FILE_MAX, &text, &size);

        if (r == -ENOENT)
                return diag_set(reterr, pos, -ENOKEY,
                                "there are no credentials for AWS: neither $AWS_ACCESS_KEY_ID and $AWS_SECRET_ACCESS_KEY, nor '%s'", path);
        if (r < 0)
                return diag_set(reterr, pos, r, "cannot read the credentials for AWS in '%s': %m", path);
        r = aws_credentials_parse(text, profile, ret);
        explicit_bzero(text, size);
        free(text);
        if (r == -ENOKEY)
                return diag_set(reterr, pos, r, "there are no credentials for AWS in section '%s' of '%s'", profile, path);
        return r;
}

int aws_credentials_find(AwsCredentials *ret, Pos pos, Diag *reterr) {
        _cleanup_free_ char *path = NULL;
        AwsCredentials c = {};
        int r;

        if (given("AWS_ACCESS_KEY_ID") && given("AWS_SECRET_ACCESS_KEY")) {
                r = from_environment(&c);
                if (r == -ENOKEY)
                        (void) diag_set(reterr, pos, r, "a credential for AWS in the environment has blanks in it");
        } else {
                r = find_file(&path);
                if (r >= 0)
                        r = from_file(path, pos, &c, reterr);
        }
        if (r < 0) {
                aws_credentials_done(&c);
                return r;
        }
        *ret = c;
        return 0;
}
