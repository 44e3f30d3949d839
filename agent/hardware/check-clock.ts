// Signed messages and certificates need the right time, and most boards have no clock that runs
// without power.
import type { Finding } from '../util/check.ts';
import { messageOf } from '../util/errors.ts';
import type { Machine } from './checks.ts';
import { askTool } from './tool.ts';
import type { Tree } from './tree.ts';

/** Touched by systemd-timesyncd each time that it has set the clock; it begins anew at each boot. */
const TIMESYNC = '/run/systemd/timesync/synchronized';
const RTC = '/sys/class/rtc/rtc0';
const ASK_TIMEOUT_MS = 3000;
const MEND = 'sudo timedatectl set-ntp true, or install chrony, and let NTP (UDP port 123) out';

/** Whether the time is kept by a time server, and whether the board has a clock of its own. */
export async function checkClock({ facts, tree }: Machine): Promise<Finding> {
  const own = await tree.exists(RTC);
  const clock = own ? 'a clock of its own' : 'no clock that runs without power';
  if (facts.os.container) return { ok: true, found: 'the clock of the host, which keeps it' };
  const by = await synchronizedBy(tree);
  if ('source' in by) return { ok: true, found: `synchronized (${by.source}); ${clock}` };
  const risk = own ? '' : ': after a power cut the time is wrong until a time server answers';
  return { ok: false, found: `not synchronized (${by.why}); ${clock}${risk}`, mend: MEND };
}

async function synchronizedBy(
  tree: Tree,
): Promise<{ readonly source: string } | { readonly why: string }> {
  if (await tree.exists(TIMESYNC)) return { source: 'systemd-timesyncd' };
  if (!tree.live) return { why: `no ${TIMESYNC}` };
  try {
    // Asks the kernel, which knows of every program that keeps the time.
    const args = ['show', '--property=NTPSynchronized', '--value'];
    const said = (await askTool('timedatectl', args, ASK_TIMEOUT_MS)).trim();
    return said === 'yes' ? { source: 'the kernel says so' } : { why: 'says timedatectl' };
  } catch (error) {
    const [line = ''] = messageOf(error).split('\n');
    return { why: `timedatectl: ${line}` };
  }
}
