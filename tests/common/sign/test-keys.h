/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Keys that protect nothing. */

__attribute__((__unused__)) static const char secret_key[] =
        "-----BEGIN OPENSSH PRIVATE KEY-----\n"
        "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
        "QyNTUxOQAAACCuJ15NuchmXJWl//pGO9wyveRC/zN7wvaE6P70FWrdBgAAAJDbYYbX22GG\n"
        "1wAAAAtzc2gtZWQyNTUxOQAAACCuJ15NuchmXJWl//pGO9wyveRC/zN7wvaE6P70FWrdBg\n"
        "AAAEAJffHhXCHFc+KCU6DQSCLHmulPXNC9ue+8ym1irqqHQq4nXk25yGZclaX/+kY73DK9\n"
        "5EL/M3vC9oTo/vQVat0GAAAADHRlc3Qgb2YgbWdtdAE=\n"
        "-----END OPENSSH PRIVATE KEY-----\n";
__attribute__((__unused__)) static const char locked_key[] =
        "-----BEGIN OPENSSH PRIVATE KEY-----\n"
        "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABAQTALHlL\n"
        "f/qFzbK9r7/r8DAAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAICAs+9DhxLZzNPLd\n"
        "QI6omS74ejpdPqaIy2taDIJqdVqnAAAAkDNK9pm4M85lFpIYUO4WYgLMKaDe++t39as3k5\n"
        "q8FbB7IMObWMRq4r/V0G6S4xs/X8LCe0TUdX3Gm/xRnEt7OkkBoZz3osnaA0VM+uRTG4Ur\n"
        "Fjje4H8l9oUqejMQHWb42NIKJQFNOhZZSFtH7TS+hZl9VTeHcniQ5pPB5oAZVZht1Ui0db\n"
        "Fxx5G3kYGtmW7Rmg==\n"
        "-----END OPENSSH PRIVATE KEY-----\n";

__attribute__((__unused__)) static const char public_line[] = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK4nXk25yGZclaX/+kY73DK95EL/M3vC9oTo/vQVat0G test of mgmt";
