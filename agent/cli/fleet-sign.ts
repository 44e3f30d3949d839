import { Command } from 'commander';
import { writeOutputFile } from '../util/files.ts';
import { readNamedText } from '../util/read.ts';
import type { CliContext } from './context.ts';
import { UsageError } from './errors.ts';
import { signingOptions } from './model/shared.ts';

interface Flags {
  readonly key: readonly string[];
  readonly passphraseFile?: string;
  readonly output?: string;
}

const EXAMPLES = `
The document is JSON with at least type (job or twin), deviceId, counter (higher
than the last one this device took) and expires; a device acts on nothing else.
Signed, it can be published by any MQTT client.

Examples:
  agent fleet sign job.json --key ops.key | \\
    mosquitto_pub -t edgefit/v1/d/pi-7/dn/job/j1 -r -q 1 -s

Exit codes: 0 done, 1 failed, 2 bad usage or input.`;

/** `agent fleet sign FILE`: a job or a desired twin, signed for one device. */
export function fleetSignCommand({ io }: CliContext): Command {
  const command = new Command('sign')
    .summary('sign a job or a desired twin for a device')
    .description('Signs a job or a desired twin, for those who publish by hand.')
    .argument('<file>', 'the document, JSON')
    .option('-o, --output <file>', 'where it goes; stdout by default');
  return signingOptions(command)
    .addHelpText('after', EXAMPLES)
    .action(async (file: string, flags: Flags) => {
      const { openKeys } = await import('./model/passphrase.ts');
      const { MAX_DOCUMENT_BYTES, signDocument } = await import('../fleet/protocol/signed.ts');
      const signed = await readDocument(file);
      if (Date.parse(signed.expires) <= Date.now()) {
        throw new UsageError(`${file}: it expired at ${signed.expires}, devices would refuse it`);
      }
      const document = signDocument(signed, await openKeys(flags, io));
      const text = `${JSON.stringify(document)}\n`;
      const bytes = Buffer.byteLength(text);
      if (bytes > MAX_DOCUMENT_BYTES) {
        const limit = `devices read at most ${MAX_DOCUMENT_BYTES}`;
        throw new UsageError(`${file}: signed it has ${bytes} bytes, ${limit}`);
      }
      if (flags.output === undefined) io.stdout.write(text);
      else await writeOutputFile(flags.output, text);
    });
}

async function readDocument(path: string) {
  const text = await readNamedText(path);
  const { signedPartSchema } = await import('../contracts/signed.ts');
  const parsed = signedPartSchema.safeParse(parseJson(text, path));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = issue?.path.join('.') ?? '';
  throw new UsageError(
    `${path}: ${field === '' ? 'it' : field} is not as needed: ${issue?.message}`,
  );
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UsageError(`${path} is not JSON`, { cause });
  }
}
