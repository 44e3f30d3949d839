// @ts-check
// Samples of an invented board, the same every time.

const MINUTE_MS = 60_000;
const MEBIBYTE = 1024 ** 2;

/** The same numbers every time. @param {number} seed @returns {() => number} in [0, 1) */
function randomFrom(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/**
 * A small board through a day. Busy: it works at eight loads of an hour that change every few minutes,
 * warms up and cools down, and its network is used.
 * @param {boolean} busy @param {number} sampleMs
 */
export function board(busy, sampleMs) {
  const random = randomFrom(busy ? 7 : 3);
  const state = {
    celsius: 48,
    load: 0.03,
    memory: 2600,
    received: 1e9,
    sent: 2e8,
    joules: 0,
    rss: 92,
  };
  const noise = (/** @type {number} */ size) => (random() - 0.5) * size;
  return () => {
    if (busy && random() < sampleMs / (8 * MINUTE_MS)) state.load = random();
    const cpu = Math.min(1, Math.max(0, state.load + noise(busy ? 0.15 : 0.03)));
    state.celsius += (45 + 35 * cpu - state.celsius) * 0.1 + noise(0.6);
    state.memory += (2600 - 900 * cpu - state.memory) * 0.2 + noise(8);
    state.received += (busy ? 60_000 : 900) * random() * (sampleMs / 1000);
    state.sent += (busy ? 200_000 : 700) * random() * (sampleMs / 1000);
    const watts = 2.6 + 5 * cpu + noise(0.1);
    state.joules += (watts * sampleMs) / 1000;
    state.rss += (92 - state.rss) * 0.1 + noise(1.5);
    return {
      host: {
        cpuRatio: cpu,
        memoryAvailableBytes: state.memory * MEBIBYTE,
        memoryTotalBytes: 3794 * MEBIBYTE,
        cpuPressureRatio: Math.max(0, cpu - 0.7 + noise(0.1)),
        memoryPressureRatio: 0,
        ioPressureRatio: Math.max(0, noise(0.05)),
        socCelsius: state.celsius,
        acceleratorCelsius: state.celsius - 6,
        throttled: Number(state.celsius > 80),
        powerWatts: watts,
        energyJoules: state.joules,
        diskFreeBytes: 21_000 * MEBIBYTE,
        diskTotalBytes: 29_000 * MEBIBYTE,
        networkReceivedBytes: state.received,
        networkSentBytes: state.sent,
      },
      agent: {
        rssBytes: state.rss * MEBIBYTE,
        pssBytes: (state.rss - 38) * MEBIBYTE,
        loopDelayP99Ms: 0.4 + random() + (busy && random() < 0.01 ? 80 : 0),
        outboxMessages: 0,
        outboxBytes: 0,
        outboxDropped: 0,
        outboxRefused: 0,
        reconnects: 0,
        offlineSeconds: 0,
        refusedMessages: 0,
        jobsApplied: 0,
      },
      infer: {
        p50Ms: 18.2,
        p90Ms: 19.4,
        p99Ms: 23.1,
        driftRatio: 1.02,
        accuracy: 0.913,
        sqnrDb: 31.4,
      },
    };
  };
}
