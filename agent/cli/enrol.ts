import { Command, Option } from 'commander';
import type { EnrolResult } from '../fleet/identity/enrol.ts';
import type { CliContext } from './context.ts';
import { UsageError } from './errors.ts';
import { writeJson } from './output.ts';

interface EnrolFlags {
  readonly config?: string;
  readonly deviceId?: string;
  readonly key: 'ecdsa' | 'ed25519';
  readonly user?: string;
  readonly passwordFile?: string;
  readonly cert?: string;
  readonly ca?: string;
  readonly root?: string;
  readonly replaceRoot?: true;
  readonly force?: true;
  readonly json?: true;
}

const EXAMPLES = `
Without --user a key pair is made, and a certificate request that your CA
signs; the key never leaves the device. Doing it again changes nothing.

Examples:
  agent enrol --root root.json --ca ca.pem         prints the request to sign
  agent enrol --cert pi-7.pem                      the certificate came back
  agent enrol --user pi-7 --password-file secret   a user instead

Exit codes: 0 done, 1 failed, 2 bad usage or input.`;

/** `agent enrol`: gives this device its identity. */
export function enrolCommand({ io }: CliContext): Command {
  return new Command('enrol')
    .summary('give this device its identity: key, certificate request, trust')
    .description('Gives this device its identity at the broker and its first root of trust.')
    .option('--config <file>', 'configuration of the daemon, which names the state folder')
    .option(
      '--device-id <id>',
      "name of this device (default: the configuration's, else the enrolled one's)",
    )
    .addOption(
      new Option('--key <kind>', 'kind of key').choices(['ecdsa', 'ed25519']).default('ecdsa'),
    )
    .option('--user <name>', 'user name at the broker, instead of a certificate')
    .option('--password-file <file>', 'file with its password')
    .option('--cert <file>', 'the certificate that was made from the request, PEM')
    .option('--ca <file>', 'CA of the broker, PEM')
    .option('--root <file>', 'first root of the signed model repository (TUF)')
    .option('--replace-root', 'with --root: trust it instead of another one; name and key stay')
    .option('--force', 'replace another identity, the key too')
    .option('--json', 'print what was done as JSON (edgefit/enrol/1)')
    .addHelpText('after', EXAMPLES)
    .action(async (flags: EnrolFlags) => {
      if (flags.passwordFile !== undefined && flags.user === undefined) {
        throw new UsageError('--password-file needs --user');
      }
      if (flags.replaceRoot === true && flags.root === undefined) {
        throw new UsageError('--replace-root needs --root');
      }
      if (flags.user !== undefined && flags.cert !== undefined) {
        throw new UsageError('give either --user or --cert, not both');
      }
      const result = await enrolDevice(flags, io.env);
      if (flags.json === true) writeJson(io, { schema: 'edgefit/enrol/1', ...result });
      else io.stdout.write(await render(result));
    });
}

async function enrolDevice(flags: EnrolFlags, env: CliContext['io']['env']): Promise<EnrolResult> {
  const { loadConfig } = await import('../config/load.ts');
  const { foldersOf } = await import('../config/folders.ts');
  const { enrol } = await import('../fleet/identity/enrol.ts');
  const { readPasswordFile } = await import('../fleet/setting-files.ts');
  const { isId } = await import('../fleet/protocol/topics.ts');
  const { config } = await loadConfig({ file: flags.config, env });
  const named = flags.deviceId ?? config.deviceId;
  const deviceId = named ?? (await ownDeviceId());
  if (!isId(deviceId))
    throw new UsageError(`--device-id: ${JSON.stringify(deviceId)} is no device id`);
  const { passwordFile } = flags;
  return enrol({
    state: foldersOf(config, env).state,
    deviceId,
    isDefaultId: named === undefined,
    keyType: flags.key,
    user: flags.user,
    password:
      passwordFile === undefined
        ? undefined
        : await readPasswordFile('--password-file', passwordFile),
    cert: flags.cert,
    ca: flags.ca,
    root: flags.root,
    replaceRoot: flags.replaceRoot === true,
    force: flags.force === true,
  });
}

async function ownDeviceId(): Promise<string> {
  const { defaultDeviceId } = await import('../hardware/device-id.ts');
  return defaultDeviceId();
}

/** For people: what was done and what is still to do. The request itself, so that it can be piped. */
async function render({ deviceId, user, request, written, ...has }: EnrolResult): Promise<string> {
  const { readFile } = await import('node:fs/promises');
  const lines = [`enrolled as ${deviceId}${user === null ? '' : `, user ${user}`}`];
  lines.push(...written.map((path) => `wrote ${path}`));
  if (written.length === 0) lines.push('nothing to do: everything was there');
  if (!has.hasRoot) lines.push('no root of trust yet: agent enrol --root FILE');
  if (request !== null && !has.hasCertificate) {
    lines.push('have this request signed by your CA, then: agent enrol --cert FILE', '');
    lines.push(await readFile(request, 'utf8'));
  }
  return `${lines.join('\n').trimEnd()}\n`;
}
