import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { benchSchema } from '../../agent/contracts/bench.ts';
import { birthSchema, unsentSchema } from '../../agent/contracts/messages.ts';
import { mosquitto, subscriber, textOf } from '../fleet/support/harness.ts';
import { describeWithMosquitto, freePort } from '../fleet/support/mosquitto.ts';
import { agent, makeFolder, removeFolders } from './support/agent.ts';
import { NOTHING_LEFT } from './support/expect.ts';
import { DEMO_MODEL, QUICK } from './support/files.ts';

afterAll(removeFolders);
const LIMIT_MS = 60_000;
const BENCH = ['bench', DEMO_MODEL, '--as-is', ...QUICK, '--device-id', 'bench-1'] as const;

describeWithMosquitto('a mosquitto', () => {
  test(
    'gets the birth, retained, and the report that was printed',
    async () => {
      const { port } = await mosquitto('allow_anonymous true');
      const reader = await subscriber(port);
      const ran = await agent([...BENCH, '--json', '--mqtt', `mqtt://127.0.0.1:${port}`]);
      expect(ran).toMatchObject({ code: 0, ...NOTHING_LEFT });
      expect(ran.said).toEqual([expect.stringContaining('reported as bench-1: edgefit/v1/d/')]);
      const [birth, bench] = await reader.take(2);
      const printed: unknown = JSON.parse(ran.out);
      expect(benchSchema.parse(printed)).toMatchObject({ chosen: 'onnxruntime/fp32/t1' });
      expect(JSON.parse(textOf(bench!))).toEqual(printed);
      expect(birthSchema.parse(JSON.parse(textOf(birth!)))).toMatchObject({ deviceId: 'bench-1' });
      const late = await subscriber(port);
      expect(await late.take(1)).toMatchObject([{ topic: birth!.topic, retain: true }]);
    },
    LIMIT_MS,
  );
});

test(
  'an unreachable broker: the results are printed and kept, and the exit code is 1',
  async () => {
    const url = `mqtt://127.0.0.1:${await freePort()}`;
    const state = makeFolder();
    const report = join(makeFolder(), 'report.json');
    const ran = await agent([...BENCH, '--mqtt', url, '--mqtt-timeout', '2', '-o', report], {
      env: { EDGEFIT_STATE_DIR: state },
    });
    expect(ran).toMatchObject({ code: 1, ...NOTHING_LEFT });
    expect(ran.out).toContain('Chosen: #1 onnxruntime/fp32/t1');
    expect(ran.said).toEqual([expect.stringContaining(url)]);
    const names = readdirSync(join(state, 'unsent'));
    const kept = names.map((name) =>
      unsentSchema.parse(JSON.parse(readFileSync(join(state, 'unsent', name), 'utf8'))),
    );
    expect(kept.map(({ message }) => message.schema).toSorted()).toEqual([
      'edgefit/bench/1',
      'edgefit/birth/1',
    ]);
    expect(benchSchema.parse(JSON.parse(readFileSync(report, 'utf8'))).candidates).toHaveLength(1);
  },
  LIMIT_MS,
);
