import { ConfigError } from '../../config/error.ts';
import { issuesIn } from '../../config/issues.ts';
import { parseYaml } from '../../config/yaml-text.ts';
import { dashboardConfigSchema, type DashboardConfig } from '../../contracts/dashboard-config.ts';
import { readNamedText } from '../../util/read.ts';

/** The configuration in a YAML file, or the defaults without one. Throws ConfigError, FileError. */
export async function readDashboardConfig(file: string | undefined): Promise<DashboardConfig> {
  if (file === undefined) return dashboardConfigSchema.parse({});
  const text = await readNamedText(file);
  const { value, locate } = parseYaml(text, file);
  const parsed = dashboardConfigSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = issuesIn(parsed.error, value)
    .map(({ path, message }) => {
      return { where: file, ...locate(path), key: path.map(String).join('.'), message };
    })
    .toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0));
  const others = problems.slice(1).map(({ key }) => key);
  throw new ConfigError(problems, undefined, others.join(', '));
}
