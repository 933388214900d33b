/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A client of one connection that sends whatever bytes a test gives it, on the loop that the server runs on. */

#include "common/strbuf.h"
#include "tests/daemons/testhost.h"

typedef struct Client {
        TestHost *host;
        int fd;
        sd_event_source *source;
        StrBuf in;              /* received and not yet taken */
        bool closed;            /* by the server */
} Client;

typedef struct Answer {
        unsigned status;        /* 0: there was none */
        char *head;             /* status line and headers, each ended by CR LF */
        char *body;
        size_t body_size;
} Answer;

/* An address that no other test program uses: "127.x.y.z:port". */
const char *test_address(void);

int client_open(Client *c, TestHost *h, const char *address);
void client_close(Client *c);
int client_send(Client *c, const char *data, size_t size);
void client_settle(Client *c);          /* what was sent is with the server, which has had its turn */

/* Waits for one complete answer; without_body after a HEAD. Nothing came (or nothing complete): status 0. */
Answer client_read(Client *c, bool without_body, unsigned milliseconds);
bool client_until_closed(Client *c, unsigned milliseconds);

void answer_done(Answer *a);
const char *answer_header(const Answer *a, const char *name);   /* valid until the next call; NULL if absent */

/* All in one, on a connection of its own. request is printf-like, and complete, with its empty line. */
Answer ask(TestHost *h, const char *address, const char *request, ...) _printf_(3, 4);
