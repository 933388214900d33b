/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Containers, with a real docker: how long `mgmtctl run` takes until all of them run, until it has found that they do, and until one
 * that was killed runs again; and the memory of mgmt-virt. The floors make the same calls of docker's API, as many at a time, and
 * nothing else.
 *
 * Where there is no docker (MGMT_DOCKER_SOCKET names another socket than docker's own) there is nothing to measure. */

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"
#include "common/io.h"
#include "common/macro.h"
#include "daemons/virt/docker.h"

#define IMAGE "mgmt-bench:1"
#define BUSYBOX "/bin/busybox"

enum {
        N_AT_A_TIME = 16,       /* as mgmt-virt */
        N_REACTIONS = 21,
};

static unsigned n_containers = 200;
static const char *socket_path;
static char mgmtctl[PATH_MAX], directory[] = "/tmp/mgmt-bench-XXXXXX";

static _noreturn_ void die(const char *what, const char *why) {
        fprintf(stderr, "bench-docker: %s: %s\n", what, why);
        (void) remove_tree(directory);
        exit(EXIT_FAILURE);
}

/* ---- docker's API ---- */

typedef struct Reply {
        char *data;
        size_t size;
} Reply;

typedef size_t (*on_data_t)(char *data, size_t one, size_t n, void *userdata);

static size_t keep(char *data, size_t one, size_t n, void *userdata) {
        Reply *r = userdata;
        char *grown = realloc(r->data, r->size + n + 1);

        if (!grown)
                return 0;
        memcpy(grown + r->size, data, n);
        r->data = grown;
        r->size += n;
        grown[r->size] = 0;
        return n;
}

static CURL *request(const char *method, const char *path, const char *body, size_t size, const char *type, on_data_t on_data, void *userdata) {
        static struct curl_slist *json, *tar;
        char url[512];
        CURL *c = curl_easy_init();

        if (!json) {
                json = curl_slist_append(NULL, "Content-Type: application/json");
                tar = curl_slist_append(curl_slist_append(NULL, "Content-Type: application/x-tar"), "Expect:");
        }
        if (!c || !json || !tar)
                die("curl", "out of memory");
        (void) snprintf(url, sizeof(url), "http://docker%s", path);
        (void) curl_easy_setopt(c, CURLOPT_URL, url);
        (void) curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, socket_path);
        (void) curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
        (void) curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_data);
        (void) curl_easy_setopt(c, CURLOPT_WRITEDATA, userdata);
        if (body) {
                (void) curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
                (void) curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long) size);
                (void) curl_easy_setopt(c, CURLOPT_HTTPHEADER, streq(type, "tar") ? tar : json);
        }
        return c;
}

/* The status, or 0 without an answer. */
static long call(const char *method, const char *path, const char *body, Reply *reply) {
        Reply own = {};
        CURL *c = request(method, path, body, body ? strlen(body) : 0, "json", keep, reply ? reply : &own);
        long status = 0;

        if (curl_easy_perform(c) == CURLE_OK)
                (void) curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_cleanup(c);
        free(own.data);
        return status;
}

/* ---- an image with one program ---- */

static size_t add_header(char *tar, const char *name, size_t size, char type) {
        unsigned sum = 0;

        memset(tar, 0, 512);
        (void) snprintf(tar, 100, "%s", name);
        (void) snprintf(tar + 100, 8, "0000755");
        (void) snprintf(tar + 108, 8, "0000000");
        (void) snprintf(tar + 116, 8, "0000000");
        (void) snprintf(tar + 124, 12, "%011zo", size);
        (void) snprintf(tar + 136, 12, "00000000000");
        tar[156] = type;
        memcpy(tar + 257, "ustar\00000", 8);
        memset(tar + 148, ' ', 8);
        for (unsigned i = 0; i < 512; i++)
                sum += (unsigned char) tar[i];
        (void) snprintf(tar + 148, 7, "%06o", sum);
        return 512;
}

static void make_image(void) {
        _cleanup_free_ char *busybox = NULL, *tar = NULL;
        Reply reply = {};
        size_t size, n = 0;
        long status = 0;

        int r = read_file_at(AT_FDCWD, BUSYBOX, 64 * 1024 * 1024, &busybox, &size);
        if (r < 0)
                die(BUSYBOX, strerror(-r));
        tar = calloc(1, size + 8 * 512);
        if (!tar)
                die("image", "out of memory");
        n += add_header(tar + n, "bin/", 0, '5');
        n += add_header(tar + n, "bin/sleep", size, '0');
        memcpy(tar + n, busybox, size);
        n += (size + 511) / 512 * 512 + 1024;
        CURL *c = request("POST", "/v1.41/images/create?fromSrc=-&repo=mgmt-bench&tag=1", tar, n, "tar", keep, &reply);
        if (curl_easy_perform(c) == CURLE_OK)
                (void) curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_cleanup(c);
        if (status != 200 || !reply.data || strstr(reply.data, "\"error\""))
                die("cannot make an image", reply.data ? reply.data : "no answer");
        free(reply.data);
}

/* ---- many containers ---- */

typedef struct Work {
        unsigned i, step;
} Work;

/* The calls for each container, one after another; ends with NULL. */
typedef struct Steps {
        const char *method, *path, *body;       /* %u in the path is its number */
} Steps;

static CURL *next_call(const Steps *s, Work *w) {
        char path[256];
        CURL *c;

        (void) snprintf(path, sizeof(path), s[w->step].path, w->i);
        c = request(s[w->step].method, path, s[w->step].body, s[w->step].body ? strlen(s[w->step].body) : 0, "json", keep, calloc(1, sizeof(Reply)));
        (void) curl_easy_setopt(c, CURLOPT_PRIVATE, w);
        return c;
}

static uint64_t for_all(const Steps *steps, bool may_fail) {
        CURLM *multi = curl_multi_init();
        Work *work = calloc(n_containers, sizeof(Work));
        unsigned begun = 0, done = 0;
        uint64_t begin = now_nsec();

        if (!multi || !work)
                die("curl", "out of memory");
        while (done < n_containers) {
                int n_running, n_left;
                CURLMsg *m;

                for (; begun < n_containers && begun - done < N_AT_A_TIME; begun++) {
                        work[begun].i = begun;
                        (void) curl_multi_add_handle(multi, next_call(steps, &work[begun]));
                }
                (void) curl_multi_perform(multi, &n_running);
                while ((m = curl_multi_info_read(multi, &n_left))) {
                        CURL *c = m->easy_handle;
                        long status = 0;
                        Work *w;

                        (void) curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
                        (void) curl_easy_getinfo(c, CURLINFO_PRIVATE, &w);
                        if (!may_fail && (m->data.result != CURLE_OK || status >= 400))
                                die(steps[w->step].path, "failed");
                        (void) curl_multi_remove_handle(multi, c);
                        curl_easy_cleanup(c);
                        if (steps[++w->step].method)
                                (void) curl_multi_add_handle(multi, next_call(steps, w));
                        else
                                done++;
                }
                if (done < n_containers)
                        (void) curl_multi_poll(multi, NULL, 0, 100, NULL);
        }
        uint64_t nsec = now_nsec() - begin;
        free(work);
        (void) curl_multi_cleanup(multi);
        return nsec;
}

static const Steps removing[] = { { "DELETE", "/v1.41/containers/mgmt-bench-%u?force=1", NULL }, {} };
static const Steps looking[] = { { "GET", "/v1.41/containers/mgmt-bench-%u/json", NULL }, {} };
static const Steps making[] = {
        { "POST", "/v1.41/containers/create?name=mgmt-bench-%u", "{\"Image\":\"" IMAGE "\",\"Cmd\":[\"sleep\",\"1000000\"],\"HostConfig\":{}}" },
        { "POST", "/v1.41/containers/mgmt-bench-%u/start", "" },
        {},
};

/* ---- mgmtctl ---- */

static void find_mgmtctl(void) {
        ssize_t n = readlink("/proc/self/exe", mgmtctl, sizeof(mgmtctl) - sizeof("/mgmtctl"));

        for (unsigned up = 0; n > 0 && up < 2; up++) {
                mgmtctl[n] = 0;
                char *slash = strrchr(mgmtctl, '/');
                if (!slash)
                        break;
                stpcpy(slash, "/mgmtctl");
                if (access(mgmtctl, X_OK) == 0)
                        return;
                n = slash - mgmtctl;
        }
        die("mgmtctl", "not found");
}

static void write_program(char path[static PATH_MAX]) {
        (void) snprintf(path, PATH_MAX, "%s/containers.mcl", directory);
        FILE *f = fopen(path, "we");
        if (!f)
                die(path, strerror(errno));
        for (unsigned i = 0; i < n_containers; i++)
                fprintf(f, "docker:container \"mgmt-bench-%u\" {\n\timage => \"" IMAGE "\",\n\tcmd => [\"sleep\", \"1000000\"],\n}\n", i);
        if (fclose(f) != 0)
                die(path, strerror(errno));
}

static pid_t start_mgmtctl(char *program, bool ends) {
        char *argv[] = { mgmtctl, (char *) "run", (char *) "--tmp-prefix", ends ? (char *) "--converger-timeout=0" : program,
                         ends ? (char *) "--converged-exit" : NULL, program, NULL };
        posix_spawn_file_actions_t actions;
        pid_t pid;

        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
        int r = posix_spawn(&pid, mgmtctl, &actions, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&actions);
        if (r != 0)
                die(mgmtctl, strerror(r));
        return pid;
}

static uint64_t run_until_converged(char *program) {
        uint64_t begin = now_nsec();
        pid_t pid = start_mgmtctl(program, true);
        int status;

        if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
                die("mgmtctl run", "failed");
        return now_nsec() - begin;
}

/* ---- reactions ---- */

static int read_text(const char *path, char *text, size_t size) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

        if (fd >= 0)
                (void) close(fd);
        text[MAX(n, 0)] = 0;
        return n < 0 ? -errno : 0;
}

/* What the process has for itself, without libraries that it shares. */
static unsigned long private_kib(pid_t pid) {
        char path[64], text[4096];
        const char *at;

        (void) snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
        if (read_text(path, text, sizeof(text)) < 0 || !(at = strstr(text, "Private_Dirty:")))
                return 0;
        return strtoul(at + strlen("Private_Dirty:"), NULL, 10);
}

/* The child of mgmtctl that is called mgmt-virt. */
static pid_t find_virt(pid_t above) {
        char path[64], text[4096];

        for (pid_t pid = above; pid < above + 200; pid++) {
                (void) snprintf(path, sizeof(path), "/proc/%d/comm", pid);
                if (read_text(path, text, sizeof(text)) >= 0 && streq(text, "mgmt-virt\n"))
                        return pid;
        }
        return 0;
}

static bool is_running(unsigned i) {
        char path[128];
        Reply reply = {};
        bool runs;

        (void) snprintf(path, sizeof(path), "/v1.41/containers/mgmt-bench-%u/json", i);
        (void) call("GET", path, NULL, &reply);
        runs = reply.data && strstr(reply.data, "\"Status\":\"running\"");
        free(reply.data);
        return runs;
}

/* From the kill to the next look that finds it running; with start, we are the ones who start it. */
static uint64_t reaction(unsigned i, bool start) {
        char path[128];
        uint64_t begin = now_nsec();

        (void) snprintf(path, sizeof(path), "/v1.41/containers/mgmt-bench-%u/kill", i);
        if (call("POST", path, "", NULL) != 204)
                die("cannot kill", path);
        (void) snprintf(path, sizeof(path), "/v1.41/containers/mgmt-bench-%u/start", i);
        if (start && call("POST", path, "", NULL) != 204)
                die("cannot start", path);
        while (!is_running(i)) {
                if (now_nsec() - begin > UINT64_C(60000000000))
                        die("it does not run again", path);
                (void) usleep(2000);
        }
        return now_nsec() - begin;
}

static void measure_reactions(char *program) {
        uint64_t ours[N_REACTIONS], floors[N_REACTIONS];
        char what[64];

        for (unsigned k = 0; k < N_REACTIONS; k++)
                floors[k] = reaction(k * 7 % n_containers, true);
        pid_t pid = start_mgmtctl(program, false);
        for (unsigned k = 0; k < N_REACTIONS; k++)
                ours[k] = reaction(k * 7 % n_containers, false);
        unsigned long kib = private_kib(find_virt(pid));
        (void) kill(pid, SIGTERM);
        (void) waitpid(pid, NULL, 0);
        report("killed, until it runs again", median(ours, N_REACTIONS), median(floors, N_REACTIONS));
        unsigned long floor_kib = private_kib(getpid());
        (void) snprintf(what, sizeof(what), "private memory, %u containers", n_containers);
        printf("%-56s %12lu KiB  floor %10lu KiB  ratio %6.2f\n", what, kib, floor_kib, (double) kib / (double) MAX(floor_kib, 1UL));
}

int main(void) {
        char program[PATH_MAX], what[96];
        uint64_t floor, ours;

        socket_path = getenv("MGMT_DOCKER_SOCKET") ?: DOCKER_SOCKET;
        if (getenv("MGMT_CONTAINERS"))
                n_containers = (unsigned) strtoul(getenv("MGMT_CONTAINERS"), NULL, 10) ?: 1;
        if (call("GET", "/_ping", NULL, NULL) != 200) {
                printf("nothing to measure: there is no docker at '%s'\n", socket_path);
                return EXIT_SUCCESS;
        }
        if (!mkdtemp(directory))
                die(directory, strerror(errno));
        find_mgmtctl();
        write_program(program);
        make_image();
        (void) for_all(removing, true);

        floor = for_all(making, false);
        (void) for_all(removing, false);
        ours = run_until_converged(program);
        (void) snprintf(what, sizeof(what), "%u containers, until all run", n_containers);
        report(what, ours, floor);

        floor = for_all(looking, false);
        ours = run_until_converged(program);
        (void) snprintf(what, sizeof(what), "%u that run already, with the start of all daemons", n_containers);
        report(what, ours, floor);

        measure_reactions(program);
        (void) for_all(removing, false);
        (void) call("DELETE", "/v1.41/images/" IMAGE, NULL, NULL);
        (void) remove_tree(directory);
        return EXIT_SUCCESS;
}
