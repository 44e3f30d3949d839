// What `agent doctor` asks of the machine itself, from the same files as the probe.
import type { Facts } from '../contracts/facts.ts';
import type { HardwareProfile } from '../contracts/profile.ts';
import { splitFix, type Check, type Finding } from '../util/check.ts';
import { checkClock } from './check-clock.ts';
import { checkCooling } from './check-cooling.ts';
import { checkSpace, checkSwap, checkWear } from './check-storage.ts';
import type { Tree } from './tree.ts';

/** What the checks of a machine look at. */
export interface Machine {
  readonly facts: Facts;
  readonly profile: HardwareProfile;
  readonly tree: Tree;
  /** Where the agent writes, for the space on that disk. */
  readonly folder: string;
}

/** The checks of a machine, in the order to read them; for a recording those that files answer. */
export function machineChecks(machine: Machine): readonly Check[] {
  const { facts } = machine;
  return [
    ...acceleratorChecks(facts),
    optional('power', 'power supply', () => checkPower(machine)),
    ...(facts.jetson === undefined
      ? []
      : [optional('power-mode', 'power mode of the Jetson', () => checkPowerMode(facts))]),
    optional('cooling', 'temperature and fan', () => checkCooling(machine)),
    optional('swap', 'memory and swap', () => checkSwap(machine)),
    optional('clock', 'clock', () => checkClock(machine)),
    ...(machine.tree.live
      ? [
          {
            id: 'disk-space',
            title: 'disk space',
            severity: 'essential',
            run: () => checkSpace(machine.folder),
          } as const,
        ]
      : []),
    optional('disk-wear', 'wear of the storage', () => checkWear(machine)),
  ];
}

function optional(id: string, title: string, run: () => Promise<Finding> | Finding): Check {
  return { id, title, severity: 'optional', run: async () => run() };
}

/** One line per accelerator. None is no fault; one that is there and cannot be used is. */
function acceleratorChecks({ accelerators }: Facts): readonly Check[] {
  return accelerators.map(({ kind, device, problem, usable }, at) => {
    const earlier = accelerators.slice(0, at).filter((one) => one.kind === kind).length;
    const where = device ?? kind;
    const [what, fix] = splitFix(problem ?? '');
    const finding: Finding = usable
      ? { ok: true, found: where }
      : { ok: false, found: `${where}: ${what}`, ...(fix === undefined ? {} : { mend: fix }) };
    return {
      id: earlier === 0 ? `accelerator-${kind}` : `accelerator-${kind}-${earlier + 1}`,
      title: `accelerator ${kind}`,
      severity: 'optional',
      run: async () => finding,
    } as const;
  });
}

function checkPower({ facts, profile }: Machine): Finding {
  const { throttling, accelerators } = facts;
  const weak = 'under-voltage';
  const now = throttling?.now.includes(weak) ?? false;
  if (!now && throttling?.sinceBoot.includes(weak) !== true) {
    // The counters of x86 are about heat.
    const tells = throttling !== null && profile.power?.underVoltage === true;
    const silent = 'this machine does not tell whether its supply is too weak';
    return { ok: true, found: tells ? 'no under-voltage' : silent };
  }
  const stick = accelerators.some(({ kind }) => kind === 'edgetpu-usb');
  const supply = profile.power === undefined ? 'a stronger supply' : profile.power.supply;
  // A stick draws up to 900 mA with the fast library, 500 mA with the other one.
  const coral = stick
    ? '; with the Coral stick use libedgetpu1-std, not -max, or a powered hub'
    : '';
  return {
    ok: false,
    found: now ? 'the voltage is too low now' : 'the voltage was too low since the last boot',
    mend: `feed the board with ${supply}, by a short cable${coral}`,
  };
}

function checkPowerMode({ cpu, jetson }: Facts): Finding {
  const mode = jetson?.powerMode ?? null;
  const modes = jetson?.powerModes ?? [];
  const best = modes.find((name) => name.startsWith('MAXN'));
  const capped = cpu.frequencyCappedToHz;
  const clock = capped === null ? '' : `, which caps the clock to ${Math.round(capped / 1e6)} MHz`;
  if (jetson?.superMode === false && best === undefined) {
    return {
      ok: false,
      found: `${mode ?? 'unknown'}${clock}; the board was flashed without its Super modes`,
      mend: 'flash it anew with JetPack 6.1 or newer and the configuration that ends in -super',
    };
  }
  if (best === undefined || mode === null || mode === best) {
    return { ok: true, found: `${mode ?? 'not known'}${clock}` };
  }
  return {
    ok: false,
    found: `${mode}${clock}`,
    mend: `for full speed: sudo nvpmodel -m N, with the number of ${best} in /etc/nvpmodel.conf`,
  };
}
