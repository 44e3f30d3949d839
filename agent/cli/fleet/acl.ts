import { Command, Option } from 'commander';
import type { CliContext } from '../context.ts';
import { listOf, wholeNumber } from '../parsers.ts';
import { listOption, listPath, type ListFlags } from './revoked.ts';

interface Flags extends ListFlags {
  readonly operators?: readonly string[];
  readonly dashboards?: readonly string[];
  readonly controllers?: readonly string[];
  readonly identity: 'certificate' | 'password';
  readonly config?: true;
  readonly crl?: true;
  readonly folder: string;
  readonly port: number;
  readonly data: string;
}

const MAX_PORT = 65_535;
const MQTTS_PORT = 8883;

const EXAMPLES = `
The user of a device is its id: the common name of its certificate, or the
name of its password. A user has one role, and no role is called like a device.
Devices that were revoked are denied everything.

Examples:
  agent fleet acl --operators ann,ben --controllers ctl-1 > /etc/mosquitto/acl
  agent fleet acl --config > /etc/mosquitto/conf.d/edgefit.conf

Exit codes: 0 done, 1 failed, 2 bad usage or input.`;

/** `agent fleet acl`: who may do what at the broker, as files for mosquitto. */
export function fleetAclCommand({ io }: CliContext): Command {
  const command = new Command('acl')
    .summary('print the access list of the broker')
    .description('Prints an access list for mosquitto, or with --config its configuration.')
    .option('--operators <users>', 'users who command devices, such as ann,ben', listOf)
    .option('--dashboards <users>', 'users who may only look', listOf)
    .option('--controllers <users>', 'users of agent fleet controller', listOf)
    .option('--config', 'print a mosquitto.conf that goes with it')
    .addOption(
      new Option('--identity <how>', 'with --config: how clients say who they are')
        .choices(['certificate', 'password'])
        .default('certificate'),
    )
    .option('--crl', 'with --config: refuse certificates that are on the list crl.pem')
    .option('--folder <path>', 'with --config: where the files are', '/etc/mosquitto/edgefit')
    .option('--data <path>', 'with --config: where the broker keeps its data', '/var/lib/mosquitto')
    .option(
      '--port <number>',
      'with --config: where the broker listens',
      wholeNumber({ min: 1, max: MAX_PORT }),
      MQTTS_PORT,
    );
  return listOption(command)
    .addHelpText('after', EXAMPLES)
    .action(async (flags: Flags) => {
      if (flags.config === true) {
        const { brokerConfig } = await import('../../fleet/access/broker-config.ts');
        io.stdout.write(brokerConfig(flags));
        return;
      }
      const { aclFile } = await import('../../fleet/access/acl.ts');
      const { readRevoked } = await import('../../fleet/access/revoked-list.ts');
      const revoked = await readRevoked(await listPath(flags, io.env));
      io.stdout.write(
        aclFile(
          { operators: [], dashboards: [], controllers: [], ...flags },
          revoked.map(({ deviceId }) => deviceId),
        ),
      );
    });
}
