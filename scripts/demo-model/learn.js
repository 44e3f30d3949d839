/** Loss and optimiser. */

/** e^x for x <= 0 from + - * / alone, so that training gives the same bits on every machine. */
function exponential(x) {
  const halvings = 10;
  const small = Math.max(x, -60) / 2 ** halvings;
  let value = 1 + small * (1 + (small / 2) * (1 + (small / 3) * (1 + small / 4)));
  for (let i = 0; i < halvings; i += 1) value *= value;
  return value;
}

/** The position of the largest of `classes` values from `start`. */
export function argmax(values, start, classes) {
  let best = 0;
  for (let k = 1; k < classes; k += 1) if (values[start + k] > values[start + best]) best = k;
  return best;
}

/**
 * Gradient of the mean softmax cross-entropy against smoothed labels.
 * @param {Float32Array} logits [samples][classes]
 * @param {readonly number[]} labels
 * @param {number} smoothing probability spread evenly over all classes
 */
export function lossGradient(logits, labels, smoothing) {
  const classes = logits.length / labels.length;
  const gradient = new Float32Array(logits.length);
  labels.forEach((label, n) => {
    const start = n * classes;
    const top = logits[start + argmax(logits, start, classes)];
    const powers = Array.from({ length: classes }, (_, k) => exponential(logits[start + k] - top));
    const total = powers.reduce((a, b) => a + b, 0);
    powers.forEach((power, k) => {
      const target = smoothing / classes + (k === label ? 1 - smoothing : 0);
      gradient[start + k] = (power / total - target) / labels.length;
    });
  });
  return gradient;
}

const BETA1 = 0.9;
const BETA2 = 0.99;
const TINY = 1e-8;

/** Adam with decoupled weight decay (Loshchilov and Hutter 2019) on matrices and kernels. */
export function createAdam(parameters, weightDecay) {
  const states = parameters.map(({ value }) => ({
    mean: new Float32Array(value.length),
    square: new Float32Array(value.length),
  }));
  let power1 = 1;
  let power2 = 1;
  return (rate) => {
    power1 *= BETA1;
    power2 *= BETA2;
    parameters.forEach(({ value, gradient, decays }, p) => {
      const { mean, square } = states[p];
      const shrink = decays ? 1 - rate * weightDecay : 1;
      for (let i = 0; i < value.length; i += 1) {
        const g = gradient[i];
        mean[i] += (1 - BETA1) * (g - mean[i]);
        square[i] += (1 - BETA2) * (g * g - square[i]);
        const size = Math.sqrt(square[i] / (1 - power2)) + TINY;
        value[i] = value[i] * shrink - (rate * mean[i]) / (1 - power1) / size;
      }
    });
  };
}
