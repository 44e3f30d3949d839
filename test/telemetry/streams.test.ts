import { describe, expect, test } from '@jest/globals';
import { telemetrySchema, type Telemetry } from '../../agent/contracts/telemetry.ts';
import { TelemetryStreams } from '../../agent/telemetry/streams.ts';
import { Thinning } from '../../agent/telemetry/thinning.ts';

const MINUTE = 60_000;
const BOOT = '11111111-2222-3333-4444-555555555555';

/** Streams with clocks and a connection that the test moves. */
function harness() {
  const at = { nowMs: 1_800_000_000_000, monoMs: 5000, online: true };
  const sent: Telemetry[] = [];
  const kept: Telemetry[] = [];
  const streams = new TelemetryStreams({
    deviceId: 'pi-7',
    bootId: BOOT,
    fullMs: 60 * MINUTE,
    historyMs: 5 * MINUTE,
    nowMs: () => at.nowMs,
    monoMs: () => at.monoMs,
    isOnline: () => at.online,
    publish: async (message) => void sent.push(message),
    keep: async (message) => void kept.push(message),
  });
  const pass = (ms: number) => {
    at.nowMs += ms;
    at.monoMs += ms;
  };
  return { at, sent, kept, streams, pass };
}

describe('streams', () => {
  test('send changes with a number that grows, as the contract has them', async () => {
    const { sent, streams, pass } = harness();
    await streams.take('host', { socCelsius: 50, cpuRatio: 0.12345 });
    pass(10_000);
    await streams.take('host', { socCelsius: 60, cpuRatio: 0.1 });
    await streams.take('agent', { rssBytes: 4096 });
    expect(sent.map((message) => telemetrySchema.parse(message))).toEqual(sent);
    expect(sent).toMatchObject([
      { stream: 'host', seq: 1, full: true, ts: 1_800_000_000_000, mono: 5000, bootId: BOOT },
      { stream: 'host', seq: 2, full: false, mono: 15_000, values: { socCelsius: 60 } },
      { stream: 'agent', seq: 1, full: true },
    ]);
    expect(sent[0]?.values).toEqual({ socCelsius: 50, cpuRatio: 0.123 });
    expect(sent[1]?.values).toEqual({ socCelsius: 60 });
  });

  test('keep a thinned and whole history while nobody can be told, and then tell all', async () => {
    const { at, sent, kept, streams, pass } = harness();
    await streams.take('host', { socCelsius: 50, cpuRatio: 0.1 });
    at.online = false;
    // An hour of samples every 10 s: one in 5 minutes is kept.
    for (let sample = 0; sample < 360; sample += 1) {
      pass(10_000);
      // oxlint-disable-next-line no-await-in-loop -- in order
      await streams.take('host', { socCelsius: 50, cpuRatio: 0.1 });
    }
    expect(kept).toHaveLength(12);
    expect(kept.every(({ full, values }) => full && values['cpuRatio'] === 0.1)).toBe(true);
    expect(kept[1]?.mono).toBe((kept[0]?.mono ?? 0) + 5 * MINUTE);
    at.online = true;
    pass(10_000);
    await streams.take('host', { socCelsius: 50, cpuRatio: 0.1 });
    expect(sent).toHaveLength(2);
    expect(sent[1]).toMatchObject({ full: true, seq: 14 });
  });

  test('tell everything after the clock has jumped, either way', async () => {
    const { at, sent, streams, pass } = harness();
    await streams.take('host', { socCelsius: 50 });
    pass(10_000);
    await streams.take('host', { socCelsius: 50 });
    expect(sent).toHaveLength(1);
    for (const jump of [50 * 365 * 86_400_000, -3_600_000]) {
      pass(10_000);
      at.nowMs += jump;
      // oxlint-disable-next-line no-await-in-loop -- in order
      await streams.take('host', { socCelsius: 50 });
    }
    expect(sent.map(({ full }) => full)).toEqual([true, true, true]);
    expect(sent.map(({ mono }) => mono)).toEqual([5000, 25_000, 35_000]);
  });

  test('keep models apart, and versions of one', async () => {
    const { sent, streams } = harness();
    const one = { name: 'kws', version: '1', precision: 'int8' } as const;
    await streams.take('infer', { p90Ms: 2 }, one);
    await streams.take('infer', { p90Ms: 2 }, { ...one, name: 'vad' });
    await streams.take('infer', { p90Ms: 2 }, one);
    await streams.take('infer', { p90Ms: 2 }, { ...one, version: '2' });
    expect(sent.map(({ model, seq }) => [model?.name, model?.version, seq])).toEqual([
      ['kws', '1', 1],
      ['vad', '1', 2],
      ['kws', '2', 3],
    ]);
    expect(streams.latest()).toHaveLength(2);
    streams.forget('infer', 'vad');
    expect(streams.latest().map(({ model }) => model?.name)).toEqual(['kws']);
  });
});

describe('thinning', () => {
  const entriesOf = (days: number): number => {
    const thinning = new Thinning(5 * MINUTE);
    let kept = 0;
    for (let ms = 0; ms < days * 86_400_000; ms += MINUTE) if (thinning.take(ms)) kept += 1;
    return kept;
  };

  test('leaves a bounded number of entries, whatever the outage', () => {
    // 48 in 4 h, 48 in the 8 h after that, then one in 20 minutes for 12 h.
    expect(entriesOf(1)).toBe(48 + 48 + 36);
    expect(entriesOf(30)).toBeLessThan(400);
    expect(entriesOf(365)).toBeLessThan(600);
  });

  test('begins anew after an outage, and keeps nothing at 0', () => {
    const thinning = new Thinning(5 * MINUTE);
    expect([thinning.take(0), thinning.take(1)]).toEqual([true, false]);
    thinning.reset();
    expect(thinning.take(2)).toBe(true);
    expect(new Thinning(0).take(0)).toBe(false);
  });
});
