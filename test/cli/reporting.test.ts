import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Aedes } from 'aedes';
import { expect, test } from '@jest/globals';
import { mqttReporting } from '../../agent/cli/reporting.ts';
import { run } from './support.ts';

const DEADLINE_MS = 20_000;

/** The reporting of the program, with what it says on stderr. */
function reporter() {
  const said: string[] = [];
  const stream = { write: (text: string) => said.push(text) };
  return { said, reporting: mqttReporting({ stdout: stream, stderr: stream, env: {} }, '1.2.3') };
}

test(
  'bench --mqtt reaches a broker and says so on stderr',
  async () => {
    const broker = await Aedes.createBroker();
    const topics: string[] = [];
    broker.on('publish', ({ topic }, client) => {
      if (client !== null) topics.push(topic);
    });
    const server = createServer(broker.handle);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    try {
      const { said, reporting } = reporter();
      const args = ['bench', '--json', '--mqtt', `mqtt://127.0.0.1:${port}`, '--device-id', 'pi'];
      const ran = await run(args, { reporting, env: { HOME: tmpdir() } });
      expect(ran).toMatchObject({ code: 0 });
      expect(said.join('')).toMatch(/^reported as pi: /m);
      expect(topics.some((topic) => topic.includes('/pi/'))).toBe(true);
      expect(JSON.parse(ran.out)).toMatchObject({ schema: 'edgefit/bench/1' });
    } finally {
      server.close();
      await new Promise<void>((resolve) => broker.close(resolve));
    }
  },
  DEADLINE_MS,
);

test(
  'no broker: exit code 1, the results are printed and the report is kept',
  async () => {
    const state = await mkdtemp(join(tmpdir(), 'edgefit-state-'));
    try {
      const args = ['bench', '--mqtt', 'mqtt://127.0.0.1:1', '--mqtt-timeout', '2'];
      const ran = await run(args, {
        reporting: reporter().reporting,
        env: { EDGEFIT_STATE_DIR: state },
      });
      expect(ran).toMatchObject({ code: 1, cleanups: 1 });
      expect(ran.out).toContain('Chosen: #4');
      expect(await readdir(state)).toEqual(['unsent']);
    } finally {
      await rm(state, { recursive: true });
    }
  },
  DEADLINE_MS,
);

test('options that cannot be used are refused before the work', async () => {
  const ran = await run(['bench', '--mqtt', 'nowhere'], {
    reporting: reporter().reporting,
  });
  expect(ran).toMatchObject({ code: 2, out: '', benched: [] });
});

test('a device that has no name is told before the work', async () => {
  const stream = { write: () => true };
  const io = { stdout: stream, stderr: stream, env: {} };
  const nameless = mqttReporting(io, '1.2.3', () => Promise.reject(new Error('no machine id')));
  const ran = await run(['bench', '--mqtt', 'mqtt://127.0.0.1:1'], { reporting: nameless });
  expect(ran).toMatchObject({ code: 1, out: '', benched: [] });
  expect(ran.err).toContain('no machine id');
});
