// @ts-check
// What a proxy cannot see: a program that ignores it. strace, where it is installed, lists every
// address that a command and its children connect to.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

/** Whether connections can be traced on this machine. */
export function canTrace() {
  return spawnSync('strace', ['-qq', '-e', 'trace=none', 'true']).status === 0;
}

/**
 * The command line that runs a command under strace.
 * @param {string} log file for the trace
 * @param {readonly string[]} command
 * @returns {string[]}
 */
export function traced(log, command) {
  return ['strace', '-f', '--seccomp-bpf', '-qq', '-e', 'trace=connect', '-o', log, ...command];
}

/**
 * Addresses in a trace other than the guard's, as `address:port`, sorted. A port of 0 or a datagram
 * socket used to pick a source address is listed too: nothing is explained away.
 * @param {string} log
 * @param {number} guardPort
 */
export function strayConnections(log, guardPort) {
  if (!existsSync(log)) return [];
  return strayAddresses(readFileSync(log, 'utf8'), guardPort);
}

/**
 * @param {string} trace text as strace writes it
 * @param {number} guardPort
 * @returns {string[]}
 */
export function strayAddresses(trace, guardPort) {
  const found = trace.matchAll(
    /connect\(\d+, \{sa_family=AF_INET6?,.*?sin6?_port=htons\((\d+)\).*?inet_(?:addr\(|pton\(AF_INET6, )"([^"]+)"/g,
  );
  const all = [...found].map(([, port, address]) => `${address}:${port}`);
  return [...new Set(all)].filter((one) => one !== `127.0.0.1:${guardPort}`).toSorted();
}
