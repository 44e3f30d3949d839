/** What of a deployed model may drift. */
export const driftKinds = ['latency', 'accuracy'] as const;
export type DriftKind = (typeof driftKinds)[number];

/** Null: not known. */
export interface Figures {
  readonly p90Ms: number | null;
  /** Higher is better, 1 is perfect. */
  readonly accuracy: number | null;
}

export interface DriftLimits {
  readonly maxP90Ratio: number;
  readonly maxAccuracyDrop: number;
}

export interface Drift {
  /** p90 now by p90 at deployment. */
  readonly p90Ratio: number | null;
  readonly accuracyDrop: number | null;
  /** Which limits are passed. */
  readonly beyond: readonly DriftKind[];
}

/** How far a model is from what it was when it was deployed. What is not known is not held against it. */
export function driftOf(now: Figures, deployed: Figures, limits: DriftLimits): Drift {
  const p90Ratio =
    now.p90Ms === null || deployed.p90Ms === null || deployed.p90Ms <= 0
      ? null
      : now.p90Ms / deployed.p90Ms;
  const accuracyDrop =
    now.accuracy === null || deployed.accuracy === null ? null : deployed.accuracy - now.accuracy;
  const beyond = driftKinds.filter((kind) =>
    kind === 'latency'
      ? (p90Ratio ?? 0) > limits.maxP90Ratio
      : (accuracyDrop ?? 0) > limits.maxAccuracyDrop,
  );
  return { p90Ratio, accuracyDrop, beyond };
}
