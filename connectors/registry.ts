import type { App } from './app.ts'
import { carddav } from './carddav/index.ts'
import { csv } from './csv/index.ts'
import { vdir } from './vdir/index.ts'

/** The apps that kith.yaml can name: one line each. */
export const apps: ReadonlyMap<string, App> = new Map<string, App>(
  [carddav, vdir, csv].map((app) => [app.name, app as unknown as App]),
)
