/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* HTTP requests in the loop: libcurl's multi interface, its sockets as io sources, its timeouts as one timer. What a request is,
 * its owner says with curl_easy_setopt(); here it only runs. */

#include <stdbool.h>
#include <sys/queue.h>

#include <curl/curl.h>

#include "common/macro.h"

typedef struct sd_event sd_event;
typedef struct CurlJob CurlJob;
typedef struct CurlLoop CurlLoop;

/* A request: part of its owner's struct. The handle is the owner's as well; CURLOPT_PRIVATE is ours. */
struct CurlJob {
        CURL *easy;
        void (*done)(CurlJob *j, CURLcode result);      /* once, from the loop, never from curl_loop_add(); may free the job */

        /* ours; all zero before it is added */
        bool running;
        LIST_ENTRY(CurlJob) entries;
};

int curl_loop_new(CurlLoop **ret, sd_event *event);
CurlLoop *curl_loop_free(CurlLoop *l);          /* no job may be left in it */
DEFINE_CLEANUP(CurlLoop *, curl_loop_free)

int curl_loop_add(CurlLoop *l, CurlJob *j);

/* Ends it without done(). Accepts one that is not under way. Not from the callbacks of the library (for data, headers, …): they end
 * a transfer by what they return. */
void curl_loop_remove(CurlLoop *l, CurlJob *j);
