/*
 * What trtexec of a version takes, as far as tests need it: options that came, and that went.
 * 8.2 layer information; 8.4 memory pools (the workspace stayed until 10); 8.6 --skipInference in place
 * of --buildOnly; 10 strongly typed networks; 11 nothing else.
 */

const ALWAYS = [
  '--onnx',
  '--saveEngine',
  '--loadEngine',
  '--minShapes',
  '--optShapes',
  '--maxShapes',
  '--shapes',
  '--useDLACore',
  '--allowGPUFallback',
  '--timingCacheFile',
  '--noTF32',
  '--iterations',
  '--warmUp',
  '--duration',
  '--useSpinWait',
  '--loadInputs',
  '--exportTimes',
  '--exportOutput',
  '--exportProfile',
  '--verbose',
  '--help',
];

/**
 * [option, since, until]: numbers are major * 100 + minor; `until` is the first without it.
 * @type {readonly (readonly [string, number, number])[]}
 */
const CHANGING = [
  ['--fp16', 0, 1100],
  ['--int8', 0, 1100],
  ['--calib', 0, 1100],
  ['--workspace', 0, 1000],
  ['--nvtxMode', 0, 802],
  ['--exportLayerInfo', 802, Infinity],
  ['--profilingVerbosity', 802, Infinity],
  ['--memPoolSize', 804, Infinity],
  ['--buildOnly', 0, 1000],
  ['--skipInference', 806, Infinity],
  ['--stronglyTyped', 1000, Infinity],
];

/**
 * The options of a version such as `8.0.1`.
 * @param {string} version
 * @returns {Set<string>}
 */
export function optionsOf(version) {
  const at = asNumber(version);
  const changing = CHANGING.filter(([, since, until]) => at >= since && at < until);
  return new Set([...ALWAYS, ...changing.map(([option]) => option)]);
}

/**
 * 8.0.1 is 800: where in history a version stands.
 * @param {string} version
 */
export function asNumber(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major * 100 + minor;
}

/**
 * As the banner writes it: v8001, v100300.
 * @param {string} version
 */
export function bannerNumber(version) {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  return `v${major * (major >= 10 ? 10_000 : 1000) + minor * 100 + patch}`;
}
