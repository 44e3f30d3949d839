/** One supply line that can be measured. */
export interface Rail {
  readonly name: string;
  readonly milliwatts: number;
}

/** Lines through which a whole board draws its power: everything else is behind them. */
const INPUTS = /^(VDD_IN|POM_5V_IN|VIN)$/;
/** Channels without a line, and the sum of shunt voltages that newer kernels number as a channel. */
const NOT_A_RAIL = /^(NC|sum of shunt voltages)$/i;

/** Whether a label names a supply line. */
export function isRail(label: string): boolean {
  return label !== '' && !NOT_A_RAIL.test(label);
}

export interface TotalPower {
  readonly milliwatts: number;
  /** `VDD_IN`, or the lines that were added up: `GPU + CPU + SOC`. */
  readonly rails: string;
}

/**
 * What a board draws: its input where that is measured, else the sum of its rails; null without any.
 * @param totalRail the name of the input, as the board's profile has it; else one of the usual names
 */
export function totalPower(
  rails: readonly Rail[],
  totalRail: string | null = null,
): TotalPower | null {
  if (rails.length === 0) return null;
  const input =
    rails.find(({ name }) => name === totalRail) ?? rails.find(({ name }) => INPUTS.test(name));
  if (input !== undefined) return { milliwatts: input.milliwatts, rails: input.name };
  return {
    milliwatts: rails.reduce((sum, { milliwatts }) => sum + milliwatts, 0),
    rails: rails.map(({ name }) => name).join(' + '),
  };
}
