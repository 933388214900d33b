/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What docker says, and the names of images. */

#include "common/edge-rule.h"
#include "common/field.h"
#include "daemons/virt/docker-spec.h"
#include "tests/common/alloc.h"
#include "tests/test.h"

#define TEXT(s) (s), strlen(s)

TEST(names_of_images) {
        static const struct {
                const char *name, *want;
                bool valid;
        } cases[] = {
                { "busybox", "busybox:latest", true },
                { "busybox:1.36", "busybox:1.36", true },
                { "docker.io/library/busybox", "busybox:latest", true },
                { "docker.io/me/web:2", "me/web:2", true },
                { "registry.test:5000/web", "registry.test:5000/web:latest", true },
                { "registry.test:5000/web:1", "registry.test:5000/web:1", true },
                { "web@sha256:0123", "web@sha256:0123", true },
                { "localhost/web", "localhost/web:latest", true },
                { "", ":latest", false },
                { "a b", "a b:latest", false },
                { "../../info", "../../info:latest", false },
                { "web?x=1", "web?x=1:latest", false },
                { "web%2f", "web%2f:latest", false },
                { "web:", "web:", false },
                { "/web", "/web:latest", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *got = image_reference(cases[i].name);
                CHECK_STR(got, cases[i].want);
                CHECK(docker_image_name_valid(cases[i].name) == cases[i].valid);
        }
}

TEST(versions) {
        static const struct {
                const char *json, *want;
        } cases[] = {
                { "{\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\"}", "v1.41" },
                { "{\"ApiVersion\":\"1.43\"}", "v1.43" },
                { "{\"ApiVersion\":\"1.50\",\"MinAPIVersion\":\"1.24\"}", "v1.44" },
                { "{\"ApiVersion\":\"1.52\",\"MinAPIVersion\":\"1.44\"}", "v1.44" },
                { "{\"ApiVersion\":\"1.4\"}", NULL },
                { "{\"ApiVersion\":\"1.41x\"}", NULL },
                { "{\"ApiVersion\":1.41}", NULL },
                { "{\"ApiVersion\":\"99999999999.1\"}", NULL },
                { "{}", NULL },
                { "[]", NULL },
                { "", NULL },
                { "{\"ApiVersion\":", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char got[16] = "";
                int r = docker_parse_version(TEXT(cases[i].json), got, NULL);
                CHECK(r < 0 || cases[i].want);
                CHECK_STR(r < 0 ? NULL : got, cases[i].want);
        }
}

TEST(events) {
        static const struct {
                const char *line;
                int want;
                const char *action, *name, *old_name, *image;
        } cases[] = {
                { "{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"Attributes\":{\"name\":\"web\"}}}\n", 1, "die", "web", NULL, NULL },
                { "{\"Type\":\"container\",\"Action\":\"rename\",\"Actor\":{\"Attributes\":{\"name\":\"b\",\"oldName\":\"/a\"}}}", 1, "rename", "b", "a", NULL },
                { "{\"Type\":\"container\",\"Action\":\"exec_create: sh -c x\",\"Actor\":{\"Attributes\":{\"name\":\"web\"}}}", 0, NULL, NULL, NULL, NULL },
                { "{\"Type\":\"container\",\"Action\":\"health_status: healthy\",\"Actor\":{}}", 0, NULL, NULL, NULL, NULL },
                { "{\"Type\":\"image\",\"Action\":\"tag\",\"Actor\":{\"Attributes\":{\"name\":\"app\"}}}", 1, "tag", NULL, NULL, "app:latest" },
                { "{\"Type\":\"image\",\"Action\":\"pull\",\"Actor\":{\"ID\":\"r:5000/app:1\",\"Attributes\":{\"name\":\"r:5000/app\"}}}", 1, "pull", NULL, NULL,
                  "r:5000/app:1" },
                { "{\"Type\":\"image\",\"Action\":\"pull\",\"Actor\":{\"ID\":\"0123\",\"Attributes\":{\"name\":\"app:1\"}}}", 1, "pull", NULL, NULL, "app:1" },
                { "{\"Type\":\"image\",\"Action\":\"tag\",\"Actor\":{\"ID\":\"apple:1\",\"Attributes\":{\"name\":\"app\"}}}", 1, "tag", NULL, NULL, "app:latest" },
                { "{\"Type\":\"image\",\"Action\":\"delete\",\"Actor\":{\"Attributes\":{\"name\":\"sha256:00\"}}}", 1, "delete", NULL, NULL, NULL },
                { "{\"Type\":\"image\",\"Action\":\"prune\",\"Actor\":{\"Attributes\":{}}}", 1, "prune", NULL, NULL, NULL },
                { "{\"Type\":\"network\",\"Action\":\"connect\",\"Actor\":{}}", 0, NULL, NULL, NULL, NULL },
                { "\r\n", 0, NULL, NULL, NULL, NULL },
                { "{\"Type\":\"container\",\"Action\":\"die\"}", -EBADMSG, NULL, NULL, NULL, NULL },
                { "{\"Type\":\"container\"}", -EBADMSG, NULL, NULL, NULL, NULL },
                { "{\"Type\":[],\"Action\":{}}", -EBADMSG, NULL, NULL, NULL, NULL },
                { "nonsense", -EBADMSG, NULL, NULL, NULL, NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(docker_event_done) DockerEvent e = {};
                CHECK_INT(docker_parse_event(TEXT(cases[i].line), &e), cases[i].want);
                if (cases[i].want <= 0)
                        continue;
                CHECK_STR(e.action, cases[i].action);
                CHECK_STR(e.name, cases[i].name);
                CHECK_STR(e.old_name, cases[i].old_name);
                CHECK_STR(e.image, cases[i].image);
        }
}

static const char *joined(char *const *list) {
        static char text[512];
        size_t n = 0;

        text[0] = 0;
        for (; list && *list && n < sizeof(text); list++)
                n += (size_t) snprintf(text + n, sizeof(text) - n, "%s|", *list);
        return text;
}

TEST(a_container) {
        static const char json[] =
                "{\"Id\":\"abc\",\"Name\":\"/web\",\"Image\":\"sha256:123\",\"State\":{\"Status\":\"exited\",\"ExitCode\":137},"
                "\"Config\":{\"Image\":\"app:1\",\"Cmd\":[\"sh\",\"-c\",\"x\"],\"Env\":[\"B=2\",\"A=1\"]},"
                "\"HostConfig\":{\"RestartPolicy\":{\"Name\":\"on-failure\",\"MaximumRetryCount\":5},"
                "\"PortBindings\":{\"80/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"8080\"},{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"81\"}],"
                "\"53/udp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"53\"}],\"9/tcp\":null}},"
                "\"Mounts\":[{\"Type\":\"bind\",\"Source\":\"/srv/\",\"Destination\":\"/a//b\",\"RW\":false},"
                "{\"Type\":\"volume\",\"Name\":\"data\",\"Source\":\"/var/lib/x\",\"Destination\":\"/data\",\"RW\":true},"
                "{\"Type\":\"volume\",\"Name\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\",\"Source\":\"/x\","
                "\"Destination\":\"/tmp\",\"RW\":true},17,{}]}";
        _cleanup_(docker_container_done) DockerContainer c = {};

        CHECK_INT(docker_parse_container(TEXT(json), &c, NULL), 0);
        CHECK_STR(c.id, "abc");
        CHECK_STR(c.name, "web");
        CHECK_STR(c.image, "app:1");
        CHECK_STR(c.image_id, "123");
        CHECK_INT(c.status, DOCKER_EXITED);
        CHECK_INT(c.exit_code, 137);
        CHECK_STR(joined(c.cmd), "sh|-c|x|");
        CHECK_STR(joined(c.env), "A=1|B=2|");
        CHECK_STR(joined(c.ports), "127.0.0.1:81:80/tcp|53:53/udp|8080:80/tcp|");
        CHECK_STR(joined(c.volumes), "/srv:/a/b:ro|data:/data|");
        CHECK_STR(c.restart, "on-failure:5");
}

TEST(what_was_made) {
        static const struct {
                const char *body, *want;
        } cases[] = {
                { "{\"Id\":\"0123\",\"Warnings\":[]}", "0123" }, { "{\"Id\":5}", NULL }, { "{}", NULL }, { "x", NULL }, { "", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *id = docker_parse_created(TEXT(cases[i].body));
                CHECK_STR(id, cases[i].want);
        }
}

TEST(every_beginning_of_a_container_is_refused) {
        static const char json[] = "{\"Id\":\"abc\",\"Name\":\"/web\",\"State\":{\"Status\":\"running\"},\"Config\":{\"Env\":[null,1,\"A=1\"]}}";

        for (size_t n = 0; n <= sizeof(json) - 1; n++) {
                _cleanup_(docker_container_done) DockerContainer c = {};
                CHECK_INT(docker_parse_container(json, n, &c, NULL), n == sizeof(json) - 1 ? 0 : -EBADMSG);
        }
}

TEST(errors) {
        static const struct {
                const char *body, *want;
        } cases[] = {
                { "{\"message\":\"no\\nsuch thing\\u0007\"}\n", "no such thing" },
                { "{\"cause\":\"c\",\"message\":\"m\",\"response\":500}", "m" },
                { "{\"message\":17}", "{\"message\":17}" },
                { "plain\r\n", "plain" },
                { "", "" },
                { "\xff\xfe bad", "   bad" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *got = docker_parse_error(TEXT(cases[i].body));
                CHECK_STR(got, cases[i].want);
        }
}

TEST(pulls) {
        static const struct {
                const char *text, *want;
        } cases[] = {
                { "{\"status\":\"a\"}\r\n{\"status\":\"b\"}\r\n", NULL },
                { "tus\":\"cut\"}\n{\"error\":\"denied\",\"errorDetail\":{}}\n", "denied" },
                { "{\"error\":\"no end", NULL },
                { "{\"errorDetail\":{\"message\":\"new\"}}\n{\"status\":\"b\"}\n", "new" },
                { "{\"errorDetail\":{\"code\":7}}\n", "no reason" },
                { "{\"errorDetail\":null}\n", NULL },
                { "", NULL },
                { "\n\n{\"error\":\"x\"}", "x" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *got = NULL;
                CHECK_INT(docker_parse_pull(TEXT(cases[i].text), &got), 0);
                CHECK_STR(got, cases[i].want);
        }
}

TEST(lists) {
        char **list = NULL;

        docker_list_sort(list);
        CHECK_INT(strv_copy(&list, (char *const[]) { (char *) "b", (char *) "a", (char *) "b", (char *) "a", (char *) "c", NULL }), 0);
        docker_list_sort(list);
        CHECK_STR(joined(list), "a|b|c|");
        strv_free(list);
}

TEST(what_is_wanted_of_a_container) {
        static const char text[] = "{\"Id\":\"abc\",\"Name\":\"/web\",\"State\":{\"Status\":\"running\"},\"Config\":{\"Env\":[\"A=1\",\"HOME=/\"]}}";
        char *env[] = { (char *) "B=2", (char *) "A=1", NULL }, *volumes[] = { (char *) "/a//x/.././b/:/c/../c:ro,Z", (char *) "data:/data", NULL };
        const DockerSpec spec = { .image = "app", .env = env, .volumes = volumes, .restart = "" };
        char *cmd[] = { (char *) "sh", NULL }, *of_image[] = { (char *) "PATH=/bin", (char *) "A=0", NULL };
        const DockerImage image = { .cmd = cmd, .env = of_image };
        _cleanup_(docker_container_done) DockerContainer c = {};
        bool failed = true;
        uint64_t n;

        CHECK_INT(docker_parse_container(TEXT(text), &c, NULL), 0);
        /* without memory nothing is half */
        for (n = 1; failed && n < 1000; n++) {
                _cleanup_(docker_wanted_done) DockerWanted w = {};

                alloc_fail_at(n);
                int r = docker_spec_wanted(&spec, &image, &c, &w);
                failed = alloc_failed();
                CHECK_INT(r, failed ? -ENOMEM : 0);
                if (r < 0)
                        continue;
                CHECK_STR(joined(w.cmd), "sh|");
                CHECK_STR(joined(w.env), "A=1|B=2|HOME=/|PATH=/bin|");
                CHECK_STR(joined(w.volumes), "/a/b:/c:ro|data:/data|");
                CHECK(!w.ports);
        }
        CHECK(!failed && n > 10);
}

TEST_MAIN()
