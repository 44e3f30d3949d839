import { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { wholeNumber } from '../parsers.ts';

/** Of 16 bits. */
const MAX_PORT = 65_535;

interface Flags {
  readonly host: string;
  readonly port: number;
}

const EXAMPLES = `
For trials and small fleets. Everything in the repository is signed, so any
HTTP server or object store serves it as well, and TLS only hides what devices
download.

Examples:
  agent model serve repository/
  agent model serve repository/ --host 0.0.0.0 --port 8080

Exit codes: 0 stopped, 1 failed, 2 bad usage or input.`;

/** `agent model serve REPOSITORY`: over HTTP until it is stopped. */
export function serveCommand({ io, signal }: CliContext): Command {
  return new Command('serve')
    .summary('serve a repository over HTTP')
    .description('Serves a signed repository over HTTP until it is stopped.')
    .argument('<repository>', 'its folder')
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option(
      '--port <n>',
      'port to listen on; 0 takes a free one',
      wholeNumber({ min: 0, max: MAX_PORT }),
      8080,
    )
    .addHelpText('after', EXAMPLES)
    .action(async (folder: string, { host, port }: Flags) => {
      const { readRepository } = await import('../../deploy/tuf/repository.ts');
      const { serveRepository } = await import('../../deploy/serve.ts');
      await readRepository(folder);
      const onRequest = (line: string) => io.stderr.write(`${line}\n`);
      const serving = await serveRepository({ folder, host, port, onRequest });
      io.stdout.write(`serving ${folder} at ${serving.url}; Ctrl-C stops it\n`);
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        signal.addEventListener('abort', () => {
          resolve();
        });
      });
      await serving.close();
    });
}
