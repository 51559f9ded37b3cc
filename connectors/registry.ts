import type { App } from './app.ts'
import { carddav } from './carddav/index.ts'
import { csv } from './csv/index.ts'
import { google } from './google/index.ts'
import { hubspot } from './hubspot/index.ts'
import { mailchimp } from './mailchimp/index.ts'
import { salesforce } from './salesforce/index.ts'
import { vdir } from './vdir/index.ts'
import { zendesk } from './zendesk/index.ts'

/** The apps that kith.yaml can name: one line each. */
export const apps: ReadonlyMap<string, App> = new Map<string, App>(
  [carddav, vdir, csv, google, hubspot, mailchimp, salesforce, zendesk].map((app) => [app.name, app as unknown as App]),
)
