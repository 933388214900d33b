/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See connect.h. The library closes the socket of a connection that nobody uses when it lets go of it; of one that is connected it is
 * kept from doing so. */

#include <curl/curl.h>
#include <stdio.h>
#include <sys/socket.h>

#include "common/http/connect.h"
#include "common/http/curl-loop.h"

struct Connect {
        CurlJob job;
        CurlLoop *loop;
        int fd;                 /* the one that was kept */
        char problem[CURL_ERROR_SIZE];
        connect_callback_t callback;
        void *userdata;
};

Connect *connect_cancel(Connect *c) {
        if (!c)
                return NULL;
        curl_loop_remove(c->loop, &c->job);
        if (c->job.easy)
                curl_easy_cleanup(c->job.easy);
        closep(&c->fd);
        free(c);
        return NULL;
}

static int on_close_socket(void *userdata, curl_socket_t fd) {
        Connect *c = userdata;
        struct sockaddr_storage peer;
        socklen_t size = sizeof(peer);

        if (c->fd < 0 && getpeername(fd, (struct sockaddr *) &peer, &size) >= 0)
                c->fd = fd;
        else
                (void) close(fd);
        return 0;
}

static void on_done(CurlJob *j, CURLcode result) {
        Connect *c = container_of(j, Connect, job);
        int fd = -ECONNREFUSED;

        curl_easy_cleanup(c->job.easy);         /* lets go of the socket, if it has not done so yet */
        c->job.easy = NULL;
        if (result == CURLE_OK)
                fd = TAKE_FD(c->fd);
        else if (result == CURLE_OPERATION_TIMEDOUT)
                fd = -ETIMEDOUT;
        else if (result == CURLE_OUT_OF_MEMORY)
                fd = -ENOMEM;
        else if (result == CURLE_COULDNT_RESOLVE_HOST)
                fd = -EHOSTUNREACH;
        c->callback(fd, fd >= 0 ? NULL : c->problem[0] ? c->problem : curl_easy_strerror(result), c->userdata);
        connect_cancel(c);
}

#define SET(option, value) \
        do { \
                if (curl_easy_setopt(c->job.easy, (option), (value)) != CURLE_OK) \
                        return -ENOMEM; \
        } while (0)

static int set_up(Connect *c, const char *host, unsigned port, uint64_t timeout_usec) {
        _cleanup_free_ char *url = NULL;
        const char *colon = strchr(host, ':');

        if (asprintf(&url, "http://%s%s%s:%u", colon ? "[" : "", host, colon ? "]" : "", port) < 0) {
                url = NULL;
                return -ENOMEM;
        }
        SET(CURLOPT_URL, url);
        SET(CURLOPT_PROXY, "");         /* nor one of the environment's */
        SET(CURLOPT_CONNECT_ONLY, 1L);
        SET(CURLOPT_NOSIGNAL, 1L);
        SET(CURLOPT_ERRORBUFFER, c->problem);
        SET(CURLOPT_CONNECTTIMEOUT_MS, (long) (timeout_usec / 1000));
        SET(CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
        SET(CURLOPT_CLOSESOCKETDATA, c);
        return curl_loop_add(c->loop, &c->job);
}

int connect_start(CurlLoop *l, const char *host, unsigned port, uint64_t timeout_usec, connect_callback_t callback, void *userdata,
                  Connect **ret) {
        Connect *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        *c = (Connect) { .job = { .easy = curl_easy_init(), .done = on_done }, .loop = l, .fd = -EBADF, .callback = callback,
                         .userdata = userdata };
        r = c->job.easy ? set_up(c, host, port, timeout_usec) : -ENOMEM;
        if (r < 0) {
                connect_cancel(c);
                return r;
        }
        *ret = c;
        return 0;
}
