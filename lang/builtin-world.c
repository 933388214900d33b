/* SPDX-License-Identifier: GPL-3.0-or-later */

/* value, world, world/collect and local: what resources, other hosts and this one keep in mgmt-world. */

#include "lang/builtins.h"

const Builtin world_builtins[] = {
        BUILTIN_WATCHED("local.pool", "func(namespace str, uid str) int",
                        "A small number that stands for the uid on this host, from 1, the same one for ever.",
                        MCL(local.pool("ports", "web"))),
        BUILTIN_WATCHED("local.vardir", "func(path str) str",
                        "A directory on this host to keep things in; it is made.",
                        MCL(local.vardir("web/"))),
        BUILTIN_WATCHED("value.get", "func(key str) struct{value ?1; ready bool}",
                        "What a resource value of this host says, and whether it does.",
                        MCL(value.get("x")->value + 1)),
        BUILTIN_WATCHED("value.get_bool", "func(key str) struct{value bool; ready bool}",
                        "The same, of type bool.",
                        MCL(value.get_bool("x"))),
        BUILTIN_WATCHED("value.get_float", "func(key str) struct{value float; ready bool}",
                        "The same, of type float.",
                        MCL(value.get_float("x"))),
        BUILTIN_WATCHED("value.get_int", "func(key str) struct{value int; ready bool}",
                        "The same, of type int.",
                        MCL(value.get_int("x"))),
        BUILTIN_WATCHED("value.get_str", "func(key str) struct{value str; ready bool}",
                        "The same, of type str.",
                        MCL(value.get_str("x"))),
        BUILTIN_WATCHED("world.getval", "func(key str) struct{value str; exists bool}",
                        "A text that all hosts share, and whether there is one.",
                        MCL(world.getval("x"))),
        BUILTIN_WATCHED("world.kvlookup", "func(namespace str) map{str: str}",
                        "What each host says in that namespace.",
                        MCL(world.kvlookup("x"))),
        BUILTIN_WATCHED("world.schedule", "func(namespace str) []str",
                        "The hosts that were chosen in that namespace.",
                        MCL(world.schedule("x"))),
        BUILTIN_WATCHED("world/collect.res", "func(kind str) []struct{name str; host str}",
                        "The resources of that kind which other hosts export to this one.",
                        MCL(collect.res("file"))),
        {}
};
