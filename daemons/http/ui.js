// SPDX-License-Identifier: GPL-3.0-or-later
//
// The page works without this. With it, values are sent while they change, what others do shows at once, and when the program has
// another page for us, it is put in the place of this one, around whatever somebody is typing.
"use strict";

(() => {
        const main = document.querySelector("main");
        const link = document.querySelector(".link");
        const said = document.getElementById("said");

        /* What we know of each form beyond what it shows. A WeakMap, so that a form that is gone is forgotten. */
        const known = new WeakMap();
        const of = (form) => {
                if (!known.has(form))
                        known.set(form, { sent: 0, confirmed: null, sending: false, next: null, again: null, held: false });
                return known.get(form);
        };

        const control = (form) => form.querySelector("[name=value]:not([type=hidden])");
        const isText = (form) => form.querySelector("textarea, input:is([type=text], [type=email], [type=url], [type=tel], [type=number])");
        const isTyped = (form) => isText(form) || form.querySelector("input:is([type=date], [type=time], [type=month], [type=week], [type=datetime-local])");
        const forms = () => main.querySelectorAll("form.field");
        const formOf = (id) => [...forms()].find((form) => form.dataset.id === id);

        /* ---- what a form shows ---- */

        const read = (form) => {
                const c = control(form);
                if (!c)
                        return form.querySelector(".now b").textContent;
                if (c.type === "checkbox")
                        return String(c.checked);
                if (c.type === "radio")
                        return form.querySelector("[name=value]:checked")?.value ?? null;
                return c.value;
        };

        const write = (form, value) => {
                const c = control(form);
                if (!c)
                        return;
                if (c.type === "checkbox")
                        c.checked = value === "true";
                else if (c.type === "radio")
                        for (const choice of form.querySelectorAll("[name=value]"))
                                choice.checked = choice.value === value;
                else if (c.value !== (value ?? ""))
                        c.value = value ?? (c.type === "range" ? c.min : "");
        };

        const fill = (form) => {
                const c = control(form);
                if (c?.type === "range")
                        c.style.setProperty("--part", (c.value - c.min) / (c.max - c.min || 1));
        };

        const show = (form, value) => {
                form.querySelector(".now b").textContent = value ?? "–";
                fill(form);
        };

        const stage = (form, name, text) => {
                const state = form.querySelector(".state");
                form.dataset.stage = name;
                if (state)
                        state.textContent = text ?? name;
        };

        const label = (form) => form.querySelector(".label").textContent;

        /* To those who do not see the page: what somebody else did, or how one's own value ended. */
        const say = (form, text) => {
                if (control(form))      /* what is only shown is heard by itself */
                        said.textContent = `${label(form)}: ${text}`;
        };

        const valueText = (form, value) => `${value === "" || value === null ? "nothing" : value} ${form.querySelector(".unit")?.textContent ?? ""}`.trim();

        const objection = (form, text) => {
                for (const c of form.querySelectorAll("[name=value]"))
                        text === null ? c.removeAttribute("aria-invalid") : c.setAttribute("aria-invalid", "true");
                if (text !== null) {
                        stage(form, "refused", `not sent: ${text}`);
                        say(form, text);
                }
        };

        /* ---- sending: one at a time for each form, and then the newest ---- */

        const later = (form) => {
                const k = of(form);
                clearTimeout(k.again);
                k.again = setTimeout(() => send(form), 1000);
        };

        const answered = (form, response, body) => {
                const k = of(form);
                if (response.ok) {
                        k.sent = Math.max(k.sent, Number(response.headers.get("Mgmt-Sequence")));
                        if (form.dataset.stage === "sent" && k.next === null)
                                stage(form, "accepted");
                        return;
                }
                let why = `${response.status} ${response.statusText}`;
                try {
                        why = JSON.parse(body).error ?? why;
                } catch {
                        /* it is none of ours */
                }
                k.next = null;
                form.classList.add("dirty");
                objection(form, why);
        };

        const send = async (form) => {
                const k = of(form);
                if (k.sending || k.next === null || !form.isConnected)
                        return;
                const value = k.next;
                k.sending = true;
                k.next = null;
                try {
                        const response = await fetch(form.action, { method: "POST", body: new URLSearchParams({ id: form.dataset.id, value }) });
                        if (response.status >= 500)
                                throw new Error(response.statusText);
                        answered(form, response, await response.text());
                } catch {
                        /* nobody is there just now: it is not lost, unless there is something newer */
                        const to = k.heir ?? form;
                        of(to).next ??= value;
                        stage(to, "sent", "waiting for the server");
                        later(to);
                }
                k.sending = false;
                if (k.next !== null && form.dataset.stage === "sent" && form.querySelector(".state").textContent !== "waiting for the server")
                        send(form);
                else
                        settle(form);
        };

        const submit = (form) => {
                const k = of(form);
                const value = read(form);
                if (value === null)
                        return;
                if (!form.checkValidity()) {
                        objection(form, control(form).validationMessage);
                        return;
                }
                objection(form, null);
                form.classList.remove("dirty");
                if (k.next === null && !k.sending && value === k.confirmed && form.dataset.stage !== "failed") {
                        stage(form, k.stage ?? "converged");
                        return;
                }
                k.mine = true;
                k.next = value;
                clearTimeout(k.calm);
                form.classList.add("recent");
                show(form, value);
                stage(form, "sent");
                clearTimeout(k.again);
                send(form);
        };

        /* ---- what the server says ---- */

        /* While a value of ours is on its way, or is being typed or dragged, that of the server waits. */
        const isOurs = (form) => {
                const k = of(form);
                return k.sending || k.next !== null || k.held || form.classList.contains("dirty");
        };

        const settle = (form) => {
                const k = of(form);
                const f = k.last;
                if (!f || isOurs(form) || f.seq < k.sent)
                        return;
                write(form, f.value);
                show(form, f.value);
                stage(form, f.value === null ? "none" : f.stage, f.value === null ? "no value yet" : f.stage === "failed" ? f.error : f.stage);
                if (k.mine && (f.stage === "converged" || f.stage === "failed")) {
                        k.mine = false;
                        k.calm = setTimeout(() => form.classList.remove("recent"), 2500);
                        say(form, f.stage === "failed" ? f.error : `${valueText(form, f.value)}, ${f.stage}`);
                }
        };

        const heard = (form, f) => {
                const k = of(form);
                const before = k.confirmed, mine = k.mine;
                k.confirmed = f.value;
                k.stage = f.stage;
                k.last = f;
                form.dataset.seq = f.seq;
                if (isOurs(form)) {
                        if (form.classList.contains("dirty") && before !== null && before !== f.value) {
                                form.querySelector(".state").textContent = `changed elsewhere to ${valueText(form, f.value)}`;
                                say(form, `changed elsewhere to ${valueText(form, f.value)}`);
                        }
                        return;
                }
                settle(form);
                if (!mine && before !== null && before !== f.value)
                        say(form, `now ${valueText(form, f.value)}`);
        };

        let engine = { there: false, converged: false };
        let isOpen = false;
        const showLink = () => {
                const state = !isOpen ? ["lost", "connecting…"] : !engine.there ? ["lost", "the engine is not running"] :
                        engine.converged ? ["done", "all is done"] : ["busy", "at work"];
                link.dataset.link = state[0];
                if (link.textContent !== state[1])
                        link.textContent = state[1];
        };

        /* ---- another page ---- */

        /* Elements that stay are not moved if they need not be, and the one with the focus never: it would lose it. */
        const arrange = (wanted) => {
                if (wanted.length === 0)
                        main.textContent = "";
                for (const form of forms())
                        if (!wanted.includes(form))
                                form.remove();
                let at = main.firstElementChild;
                for (const form of wanted) {
                        if (form === at) {
                                at = at.nextElementSibling;
                                continue;
                        }
                        if (form.contains(document.activeElement)) {
                                while (at !== form) {
                                        const moved = at;
                                        at = at.nextElementSibling;
                                        main.append(moved);
                                }
                                at = form.nextElementSibling;
                                continue;
                        }
                        main.insertBefore(form, at);
                }
        };

        /* A form of another shape takes the place of the old one; what was typed there goes with it, and what is not sent yet. */
        const replace = (old, form) => {
                const c = control(old), focused = old.contains(document.activeElement), k = of(old);
                prepare(form);
                k.heir = form;
                if (k.next !== null) {
                        Object.assign(of(form), { next: k.next, mine: k.mine });
                        k.next = null;
                        write(form, of(form).next);
                        stage(form, "sent", "waiting for the server");
                        later(form);
                }
                if (old.classList.contains("dirty")) {
                        form.classList.add("dirty");
                        write(form, read(old));
                        stage(form, "typing", "not sent yet");
                }
                if (focused)
                        of(form).refocus = { selection: typeof c?.selectionStart === "number" ? [c.selectionStart, c.selectionEnd] : null };
        };

        const refocus = (form) => {
                const k = of(form), c = control(form);
                if (!k.refocus)
                        return;
                c.focus({ preventScroll: true });
                if (k.refocus.selection && typeof c.selectionStart === "number")
                        c.setSelectionRange(...k.refocus.selection);
                k.refocus = null;
        };

        /* Elements lose the focus when they go, which is not the end of what somebody types. */
        let updating = false;

        const update = (text) => {
                const page = new DOMParser().parseFromString(text, "text/html");
                const fresh = page.querySelector("main");
                if (!fresh)
                        return;
                const wanted = [...fresh.querySelectorAll("form.field")].map((form) => {
                        const old = formOf(form.dataset.id);
                        if (old?.dataset.shape === form.dataset.shape)
                                return old;
                        const mine = document.adoptNode(form);
                        if (old)
                                replace(old, mine);
                        else
                                prepare(mine);
                        return mine;
                });
                updating = true;
                arrange(wanted);
                wanted.forEach(refocus);
                updating = false;
                main.dataset.shape = fresh.dataset.shape;
                document.title = page.title;
                document.querySelector("h1").textContent = page.querySelector("h1").textContent;
                document.querySelector("footer").textContent = page.querySelector("footer").textContent;
        };

        const reload = async (fields) => {
                const response = await fetch(location.pathname, { headers: { Accept: "text/html" } });
                if (!response.ok)
                        return;
                update(await response.text());
                hear(fields);
        };

        const hear = (fields) => {
                for (const f of fields) {
                        const form = formOf(f.id);
                        if (form)
                                heard(form, f);
                }
        };

        /* ---- hands ---- */

        const prepare = (form) => {
                const k = of(form);
                k.confirmed = form.dataset.stage === "none" ? null : read(form);
                k.stage = form.dataset.stage;
                form.noValidate = true;
                fill(form);
        };

        main.addEventListener("submit", (event) => {
                event.preventDefault();
                submit(event.target);
        });

        main.addEventListener("input", (event) => {
                const form = event.target.closest("form");
                if (isTyped(form)) {
                        form.classList.toggle("dirty", read(form) !== of(form).confirmed);
                        if (form.dataset.stage === "refused")
                                objection(form, null);
                        if (form.classList.contains("dirty"))
                                stage(form, "typing", "not sent yet");
                        else
                                settle(form);
                } else
                        submit(form);
        });

        /* Dates change while somebody goes through their parts; they are sent when that is over, as texts are. */
        main.addEventListener("change", (event) => {
                const form = event.target.closest("form");
                if (isText(form))
                        submit(form);
        });

        main.addEventListener("focusout", (event) => {
                const form = event.target.closest("form");
                if (!updating && form?.classList.contains("dirty") && form.dataset.stage !== "refused" && !form.contains(event.relatedTarget))
                        submit(form);
        });

        /* The hand may be anywhere when it lets go. */
        let held = null;
        main.addEventListener("pointerdown", (event) => {
                if (event.target.type !== "range")
                        return;
                held = event.target.closest("form");
                of(held).held = true;
        });
        for (const end of ["pointerup", "pointercancel"])
                window.addEventListener(end, () => {
                        if (!held)
                                return;
                        of(held).held = false;
                        settle(held);
                        held = null;
                });

        main.addEventListener("keydown", (event) => {
                const form = event.target.closest("form");
                if (event.key !== "Escape" || !form?.classList.contains("dirty"))
                        return;
                form.classList.remove("dirty");
                objection(form, null);
                settle(form);
        });

        /* ---- begin ---- */

        document.documentElement.classList.add("script");
        forms().forEach(prepare);

        /* A page that nobody looks at does not listen: a browser has few connections to a server, and other pages want some. */
        let events = null;
        const listen = () => {
                if (events || document.hidden)
                        return;
                events = new EventSource("events");
                const on = (name, f) => events.addEventListener(name, (event) => f(JSON.parse(event.data)));

                events.addEventListener("error", () => {
                        isOpen = false;
                        showLink();
                        if (events?.readyState === EventSource.CLOSED) {
                                events = null;
                                setTimeout(listen, 1000);
                        }
                });
                const hello = (all) => {
                        isOpen = true;
                        for (const form of forms())
                                of(form).sent = 0;      /* numbers begin anew, should the server's clock have been put back */
                        engine = all.engine;
                        showLink();
                        if (all.shape !== main.dataset.shape)
                                reload(all.fields).catch(() => {});
                        else
                                hear(all.fields);
                        forms().forEach((form) => send(form));
                };
                on("hello", (all) => {
                        if (all.more)           /* too much for a stream */
                                fetch("all").then((response) => response.json()).then(hello).catch(() => {});
                        else
                                hello(all);
                });
                on("field", (f) => hear([f]));
                on("engine", (state) => {
                        engine = state;
                        showLink();
                });
        };
        document.addEventListener("visibilitychange", () => {
                if (document.hidden) {
                        events?.close();
                        events = null;
                        isOpen = false;
                        showLink();
                } else
                        listen();
        });
        showLink();
        listen();
})();
