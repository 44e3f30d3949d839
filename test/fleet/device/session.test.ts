import { expect, test } from '@jest/globals';
import { parseBrokerUrl } from '../../../agent/fleet/broker-url.ts';
import { startSession } from '../../../agent/fleet/device/session.ts';
import { until } from '../../daemon/support.ts';
import { afterThisTest, mosquitto } from '../support/harness.ts';
import { describeWithMosquitto } from '../support/mosquitto.ts';

describeWithMosquitto('a session', () => {
  test('goes on when its documents cannot be made, also when asked for them again', async () => {
    const { port } = await mosquitto('allow_anonymous true');
    const warnings: string[] = [];
    const session = startSession({
      broker: { address: parseBrokerUrl(`mqtt://127.0.0.1:${port}`).address },
      deviceId: 'pi-7',
      agent: '0.1.0',
      bootId: null,
      protocols: [5],
      keepAliveSeconds: 30,
      expirySeconds: 60,
      timeoutMs: 5000,
      backoff: { minMs: 50, maxMs: 200 },
      nextSession: async () => 1,
      filters: ['edgefit/v1/d/pi-7/dn/#'],
      optionalFilters: [],
      // oxlint-disable-next-line require-yield -- it fails before there is anything
      retained: async function* fails() {
        throw new Error('the probe failed');
      },
      onMessage: () => undefined,
      onOnline: () => undefined,
      log: {
        info: () => undefined,
        warn: (fields, message) => warnings.push(`${message} ${JSON.stringify(fields)}`),
      },
    });
    afterThisTest(session.stop);
    await until('the first warning', () => warnings.length === 1);
    await session.republish();
    const warning = 'not everything was announced {"why":"the probe failed"}';
    expect(warnings).toEqual([warning, warning]);
    expect(session.online()).toBe(true);
  });
});
