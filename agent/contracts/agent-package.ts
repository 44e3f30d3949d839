import { z } from 'zod';
import { ID_PATTERN } from './ids.ts';

export const agentPlatforms = ['linux-x64', 'linux-arm64'] as const;

/** agent-package.json at the top of an agent's archive: what a selfupdate job installs. */
export const agentPackageSchema = z
  .looseObject({
    schema: z.literal('edgefit/agent-package/1'),
    version: z.string().regex(ID_PATTERN).describe('as `agent --version` prints it'),
    platform: z.enum(agentPlatforms),
  })
  .describe('the agent as an archive, for devices that update themselves');

export type AgentPackage = z.infer<typeof agentPackageSchema>;
export type AgentPlatform = AgentPackage['platform'];
