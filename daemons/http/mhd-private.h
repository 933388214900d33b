/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What mhd.c (listeners and connections), request.c and stream.c share. Nobody else looks in here, nor knows the library. */

#include <microhttpd.h>
#include <sys/queue.h>

#include <systemd/sd-event.h>

#include "daemons/http/mhd.h"

typedef enum Phase {
        PHASE_READING,                  /* from the start, or from the last answer, until a request is complete */
        PHASE_WRITING,                  /* from then on until it is answered; held back ones too */
        PHASE_STREAMING,                /* a stream whose client has all that was written so far */
        PHASE_SHUT,                     /* out of time; its end is on the way */
        _PHASE_MAX,
} Phase;

/* What we wait for, of a client that must get on (slow.c). */
typedef enum Wanted {
        WANTED_NOTHING,
        WANTED_REQUEST,                 /* the next one, whenever it comes */
        WANTED_HEADERS,
        WANTED_BODY,
        WANTED_TAKEN,                   /* that it takes its answer, of which there is more to send */
} Wanted;

typedef struct HttpConnection {
        HttpListener *listener;
        HttpRequest *request;           /* the current one, owned by the library's hand-over pointer */
        int fd;                         /* borrowed */
        sd_event_source *hang_up;
        bool hung_up;                   /* the other side sends nothing more */
        int n_left;                     /* bytes that were unread when it had hung up and was looked at */
        bool refused;                   /* its request, before the end of it was read */
        Phase phase;
        uint64_t since_usec;            /* when it entered the phase */
        TAILQ_ENTRY(HttpConnection) entries;
        Wanted wanted;
        uint64_t wanted_usec;           /* since when, or when it was looked at last */
        uint64_t wanted_progress;       /* bytes that had come by then */
        TAILQ_ENTRY(HttpConnection) wanted_entries;
} HttpConnection;

TAILQ_HEAD(ConnectionList, HttpConnection);
TAILQ_HEAD(LingerList, HttpLinger);

struct HttpListener {
        sd_event *event;
        struct MHD_Daemon *daemon;
        sd_event_source *io, *timer;
        HttpServing serving;
        struct ConnectionList connections[_PHASE_MAX];  /* each in order of since_usec */
        struct ConnectionList wanted;   /* in order of wanted_usec */
        uint64_t served_usec;           /* since when somebody serves */
        struct LingerList lingering;
        unsigned n_lingering;
        unsigned n_connections, n_connections_peak, connections_max;
        unsigned n_shut;                /* of them, in PHASE_SHUT */
        unsigned n_hung_up;
        unsigned n_active;              /* requests that were complete, but are not answered yet */
        uint64_t body_bytes;            /* of all bodies that are kept */
        bool has_tls;
        HttpTls *tls;                   /* the one in force; owned */
        bool paused;                    /* nobody serves, but somebody may come */
        bool in_doubt;                  /* somebody has hung up, and not all was read */
        bool resumed;                   /* requests were woken, and the library has not looked at them yet */
        bool closing;
        bool draining;
        uint64_t drain_until_usec;      /* UINT64_MAX: for ever */
        void (*drained)(HttpListener *l, void *userdata);
        void *drained_userdata;
};

struct HttpRequest {
        struct MHD_Connection *mhd;
        HttpConnection *connection;
        char *target;                   /* as it came */
        char *path;                     /* decoded and clean; NULL if the target made no sense */
        const char *query;              /* within target: '?' and what follows; NULL */
        const char *method;             /* borrowed */
        bool redirect;                  /* its path was not clean */
        size_t head_size;               /* what its line and headers need in memory */
        uint64_t body_max;              /* bytes of a body that is kept; 0: it is dropped */
        uint64_t body_size;
        StrBuf body;
        HttpReply *reply;
        HttpStream *stream;             /* that is its answer; ends with the request at the latest */
        HttpHolds *holds;               /* the list it is in, while held back */
        HttpRequest *next, *previous;
        bool begun, active, woken, ended, gone;
};

/* ---- mhd.c ---- */

void connection_enter(HttpConnection *c, Phase phase);
int connection_n_unread(const HttpConnection *c);       /* bytes that the kernel has, and the library has not read */
void listener_arm(HttpListener *l);             /* the time at which to look again */
uint64_t listener_now(const HttpListener *l);

/* ---- slow.c ---- */

void slow_want(HttpConnection *c, Wanted wanted);
void slow_forget(HttpConnection *c);            /* nothing is wanted of it */
void slow_announce_room(HttpListener *l);       /* the library's calls may have been interrupted: it learns again where it may send */
uint64_t slow_next(const HttpListener *l);      /* the time at which to look for slow ones; UINT64_MAX: there is nobody */
HttpConnection *slow_find(HttpListener *l, uint64_t now);       /* one that is too slow; NULL: there is none now */

/* ---- framing.c ---- */

/* 0, or the status by which a request is refused that somebody else could take for another one. */
unsigned framing_check(struct MHD_Connection *mhd, const char *method, const char *target, const char *version);

/* ---- linger.c ---- */

void linger(HttpConnection *c);                 /* the library is about to close it; does so if that is good for something */
void linger_end(HttpListener *l);

/* ---- request.c ---- */

HttpRequest *request_new(HttpConnection *c, struct MHD_Connection *mhd, const char *target);
HttpRequest *request_free(HttpRequest *q);
void request_release(HttpRequest *q);           /* no longer held back */
enum MHD_Result request_begin(HttpRequest *q, const char *method, const char *version);
enum MHD_Result request_add_body(HttpRequest *q, const char *data, size_t size);
enum MHD_Result request_answer(HttpRequest *q); /* it is complete, or was woken */
void request_resume(HttpRequest *q);            /* below: the library goes on with it */

/* ---- stream.c ---- */

struct MHD_Response *stream_response(HttpStream *s);
void stream_hang_up(HttpStream *s);             /* the other side sends nothing more */
void stream_gone(HttpStream *s);                /* nobody reads any more; its owner is told */
