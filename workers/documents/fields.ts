import { z } from 'zod'
import type { AccountField } from '../account-fields.ts'

/** The fields of a connection's account, and what the mapping makes of them. */
export const FieldsDocument = z
  .object({
    connection: z.string(),
    app: z.string(),
    fields: z.array(
      z.object({
        name: z.string().describe('To be written into a mapping.'),
        label: z.string().optional(),
        type: z.string().describe("The app's own word."),
        writable: z.boolean(),
        length_max: z.int().optional(),
        options: z.array(z.object({ value: z.string(), label: z.string().optional() })).optional(),
        mapped: z.boolean(),
        mapsTo: z.array(z.string()).describe('The fields of a person that it stands for.'),
      }),
    ),
  })
  .meta({ id: 'Fields' })

export function fieldsDocument(
  connection: string,
  app: string,
  fields: readonly AccountField[],
): z.infer<typeof FieldsDocument> {
  return {
    connection,
    app,
    fields: fields.map(({ options, mapsTo, ...field }) => ({
      ...field,
      ...(options === undefined ? {} : { options: options.map((option) => ({ ...option })) }),
      mapsTo: [...mapsTo],
    })),
  }
}
