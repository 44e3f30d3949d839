import { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { wantsColor, widthOf, writeJson } from '../output.ts';
import { OPERATOR_HELP, operatorOptions, withOperator, type BrokerFlags } from './operator.ts';
import { checkDeviceId } from './revoked.ts';

interface Flags extends BrokerFlags {
  readonly json?: true;
}

const HELP = `${OPERATOR_HELP}

Examples:
  agent fleet show pi-7
  agent fleet show pi-7 --json

Exit codes: 0 done, 1 failed, 2 bad usage or input, or nothing is known of it.`;

/** `agent fleet show ID`. */
export function fleetShowCommand(context: CliContext): Command {
  const { io, signal } = context;
  const command = new Command('show')
    .summary('one device: what it is, what it runs and why, its jobs')
    .description('Shows what a device is, what it runs and why, and its jobs.')
    .argument('<id>', 'the device')
    .option('--json', 'print what the broker keeps of it as JSON (edgefit/fleet-device/1)');
  return operatorOptions(command)
    .addHelpText('after', HELP)
    .action(async (deviceId: string, flags: Flags) => {
      await checkDeviceId(deviceId);
      const { readDevice } = await import('../../fleet/operator/device.ts');
      const { renderDevice } = await import('./device-view.ts');
      const view = await withOperator(flags, context, ({ channel }) =>
        readDevice(channel, deviceId, signal),
      );
      if (flags.json === true) {
        const { kept: _, ...documents } = view;
        writeJson(io, { schema: 'edgefit/fleet-device/1', ...documents });
        return;
      }
      const options = {
        width: widthOf(io.stdout, io.env),
        color: wantsColor(io.stdout, io.env),
        nowMs: Date.now(),
      };
      io.stdout.write(`${renderDevice(view, options).join('\n')}\n`);
    });
}
