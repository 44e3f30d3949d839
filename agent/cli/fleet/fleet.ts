import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import { OperatorError } from '../../fleet/operator/error.ts';
import type { FleetLink } from '../../fleet/roster/fleet-link.ts';
import type { FleetMessage } from '../../fleet/roster/read.ts';
import type { DeviceRow } from '../../fleet/roster/row.ts';
import { deferred } from '../../util/deferred.ts';
import type { CliContext } from '../context.ts';
import { brokerOf, type BrokerFlags } from './operator.ts';

export interface WhereFlags {
  readonly where?: string;
}

export function whereOption(command: Command): Command {
  return command.option('--where <selector>', "only these: 'class=rpi-5 and tag=site-a'");
}

/** Which devices a selector means. Throws with the place of what is wrong in it. */
export async function selectorOf({ where }: WhereFlags): Promise<(row: DeviceRow) => boolean> {
  if (where === undefined) return () => true;
  const { parseSelector } = await import('../../fleet/rollouts/selector.ts');
  return parseSelector(where);
}

export interface FleetHooks {
  readonly onChanged?: () => void;
  readonly onMessage?: (message: FleetMessage) => void;
}

export interface OpenFleet {
  readonly link: FleetLink;
  /** False once the connection is lost: what is shown may be old. */
  readonly connected: () => boolean;
}

/**
 * Reads a fleet, and follows it while `work` runs. Throws OperatorError when the broker cannot be
 * reached or does not let it be read.
 */
export async function withFleet<T>(
  flags: BrokerFlags,
  context: CliContext,
  hooks: FleetHooks,
  work: (fleet: OpenFleet) => Promise<T>,
): Promise<T> {
  const { broker, timeoutMs } = await brokerOf(flags, context.io);
  const { startFleetLink } = await import('../../fleet/roster/fleet-link.ts');
  const { connectBroker } = await import('../../fleet/broker-connection.ts');
  const clientId = `operator-${randomBytes(4).toString('hex')}`;
  // The link tries for ever; a command says at once what is wrong with the broker.
  const probe = await connectBroker(broker, { clientId, timeoutMs, signal: context.signal });
  await probe.close();
  const first = deferred<undefined>();
  const link = startFleetLink({
    broker,
    clientId,
    timeoutMs,
    log: {
      info: () => undefined,
      // Before the first look is done there is nothing to show: say why. Later it is tried again.
      warn: (fields, message) => {
        if ('why' in fields) {
          first.reject(new OperatorError('LOST', `${message}: ${String(fields.why)}`));
        }
      },
    },
    onReconciled: () => first.resolve(undefined),
    ...(hooks.onChanged === undefined ? {} : { onChanged: hooks.onChanged }),
    ...(hooks.onMessage === undefined ? {} : { onMessage: hooks.onMessage }),
  });
  try {
    await orAborted(first.promise, context.signal);
    return await work({ link, connected: link.connected });
  } finally {
    await link.stop();
  }
}

/** Waits, but not for longer than the program runs. */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  return Promise.race([work, aborted]);
}
