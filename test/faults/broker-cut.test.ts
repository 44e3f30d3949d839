import { spawn } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, jest, test } from '@jest/globals';
import { jobPhases, jobRecordSchema, type JobPhase } from '../../agent/contracts/job.ts';
import { watch } from '../daemon/fleet-support.ts';
import { temporaryFolder, until } from '../daemon/support.ts';
import { afterThisTest } from '../fleet/support/harness.ts';
import { describeWithMosquitto, startMosquitto } from '../fleet/support/mosquitto.ts';
import { Site } from '../fleet/support/site.ts';
import { isOver, STAND_IN, wrongWithCurrent } from './device.ts';
import { report } from './results.ts';

jest.setTimeout(240_000);

describeWithMosquitto('a broker that goes away, with all that it knew', () => {
  test('in every phase: the job goes on, and its end is told to the next broker', async () => {
    const site = await Site.open();
    afterThisTest(() => site.close());
    let broker = await startMosquitto(['allow_anonymous true']);
    afterThisTest(() => broker.stop());
    const { port } = broker;
    const state = temporaryFolder();
    await site.enrol(state);
    const unwell = join(state, 'unwell');
    const config = join(state, 'agent.yaml');
    const lines = [
      'deviceId: pi-7',
      `mqtt: { url: "mqtt://127.0.0.1:${port}", reconnectMinSeconds: 0.05, reconnectMaxSeconds: 0.2 }`,
      `models: { repository: "${site.url}", healthCommand: "test ! -e ${unwell}" }`,
    ];
    writeFileSync(config, lines.join('\n'));
    const args = [join(import.meta.dirname, 'daemon.js'), config, STAND_IN];
    const env = { PATH: process.env['PATH'], EDGEFIT_STATE_DIR: state };
    const daemon = spawn(process.execPath, args, { env, stdio: 'ignore' });
    afterThisTest(() => void daemon.kill('SIGKILL'));
    const watcher = await watch(port);
    const recordsOf = (jobId: string) =>
      watcher.seen
        .filter(({ topic, document }) => topic.endsWith(`/up/job/${jobId}`) && 'schema' in document)
        .map(({ document }) => jobRecordSchema.parse(document));

    const outcomes: [JobPhase | 'first', string][] = [];
    for (const [index, phase] of (['first', ...jobPhases] as const).entries()) {
      /* oxlint-disable no-await-in-loop -- one job after the other */
      const jobId = `j${index}`;
      const model = await site.publish(`${index + 1}.0.0`);
      if (phase === 'rolling_back') writeFileSync(unwell, '');
      const document = site.job(jobId, { jobType: 'deploy', model });
      const topic = `edgefit/v1/d/pi-7/dn/job/${jobId}`;
      await watcher.client.publishAsync(topic, document, { qos: 1, retain: true });
      if (phase !== 'first') {
        await until(`${jobId} in ${phase}`, () =>
          recordsOf(jobId).some((record) => record.phase === phase),
        );
        await broker.stop();
        broker = await startMosquitto(['allow_anonymous true'], port);
      }
      const end = await until(`the end of ${jobId}`, () => recordsOf(jobId).find(isOver), 60_000);
      outcomes.push([phase, String(end.outcome)]);
      expect(await wrongWithCurrent(state)).toBeNull();
      rmSync(unwell, { force: true });
      /* oxlint-enable no-await-in-loop */
    }
    report({ cases: jobPhases.length, passed: jobPhases.length });
    expect(outcomes).toEqual(
      ['first', ...jobPhases].map((phase) => [
        phase,
        phase === 'rolling_back' ? 'rolled_back' : 'applied',
      ]),
    );
  });
});
