/* Linked into the static binary only, by scripts/dist, with --wrap=__libc_dlopen_mode.
 *
 * A static glibc loads the plug-ins that /etc/nsswitch.conf names (mdns4_minimal, resolve, myhostname ...) from the host.
 * Where the host has another glibc, the process aborts at its first look-up of a name: seen on Debian 11. So no plug-in is
 * ever found: names come from /etc/hosts and DNS, which are compiled in, as in a program that is linked with musl.
 */
void *__wrap___libc_dlopen_mode(const char *name, int mode) {
    (void)name;
    (void)mode;
    return 0;
}
