// @ts-check
// What the kernel counts of a process.
import { readFileSync } from 'node:fs';

/** Of /proc/PID/stat: USER_HZ is 100 on every Linux that Node.js runs on. */
const TICKS_PER_SECOND = 100;

/** The most memory a process has ever had, bytes; 0 when it is gone. @param {number | undefined} pid */
export function peakRssBytes(pid) {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(read(pid, 'status'))?.[1] ?? 0) * 1024;
}

/** Seconds of processor time, its own. @param {number | undefined} pid */
export function cpuSeconds(pid) {
  const stat = read(pid, 'stat');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS_PER_SECOND;
}

/** @param {number | undefined} pid @param {string} name */
function read(pid, name) {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return '';
  }
}
