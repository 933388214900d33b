/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Whatever docker says: every parser is given the bytes. */

#include <stdint.h>

#include "daemons/virt/docker-json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const char *text = (const char *) data;
        DockerContainer c = {};
        DockerImage i = {};
        DockerEvent e = {};
        char version[16], *error = NULL;

        if (docker_parse_container(text, size, &c, NULL) >= 0 && (!c.id || !c.name || !c.restart))
                abort();
        if (docker_parse_image(text, size, &i, NULL) >= 0 && !i.id)
                abort();
        if (docker_parse_event(text, size, &e) > 0 && e.type == DOCKER_EVENT_CONTAINER && !e.name)
                abort();
        if (docker_parse_version(text, size, version, NULL) >= 0 && version[0] != 'v')
                abort();
        docker_container_done(&c);
        docker_image_done(&i);
        docker_event_done(&e);
        (void) docker_parse_pull(text, size, &error);
        free(error);
        free(docker_parse_error(text, size));
        return 0;
}
