import type { FieldDescription, SObject } from './wire.ts'

/** A field as the simulated org describes it; `restricted` picklists take no other value. */
export interface SimulatedField extends FieldDescription {
  readonly restricted?: boolean
}

type Spec = readonly [name: string, type: string, length?: number, label?: string]

const PICKLISTS: { readonly [name: string]: readonly string[] } = {
  Salutation: ['Mr.', 'Ms.', 'Mrs.', 'Dr.', 'Prof.', 'Mx.'],
  LeadSource: ['Web', 'Phone Inquiry', 'Partner Referral', 'Purchased List', 'Other'],
  Status: ['Open - Not Contacted', 'Working - Contacted', 'Closed - Converted', 'Closed - Not Converted'],
  Industry: ['Banking', 'Education', 'Other'],
}

const NAMES: readonly Spec[] = [
  ['LastName', 'string', 80, 'Last Name'],
  ['FirstName', 'string', 40, 'First Name'],
  ['Salutation', 'picklist', 40],
]

const SHARED: readonly Spec[] = [
  ['Title', 'string', 128],
  ['Email', 'email', 80],
  ['Phone', 'phone', 40],
  ['MobilePhone', 'phone', 40, 'Mobile Phone'],
  ['Fax', 'phone', 40],
  ['Description', 'textarea', 32_000],
  ['LeadSource', 'picklist', 255, 'Lead Source'],
  ['OwnerId', 'reference', 18, 'Owner ID'],
  ['HasOptedOutOfEmail', 'boolean', 0, 'Email Opt Out'],
  ['DoNotCall', 'boolean', 0, 'Do Not Call'],
  ['EmailBouncedReason', 'string', 255, 'Email Bounced Reason'],
  ['EmailBouncedDate', 'datetime', 0, 'Email Bounced Date'],
]

/** Written by Salesforce alone. */
const SYSTEM: readonly Spec[] = [
  ['Id', 'id', 18, 'Record ID'],
  ['IsDeleted', 'boolean', 0, 'Deleted'],
  ['MasterRecordId', 'reference', 18, 'Master Record ID'],
  ['Name', 'string', 121, 'Full Name'],
  ['CreatedDate', 'datetime', 0, 'Created Date'],
  ['LastModifiedDate', 'datetime', 0, 'Last Modified Date'],
  ['SystemModstamp', 'datetime', 0, 'System Modstamp'],
]

const address = (prefix: string): Spec[] => [
  [`${prefix}Street`, 'textarea', 255],
  [`${prefix}City`, 'string', 40],
  [`${prefix}State`, 'string', 80],
  [`${prefix}PostalCode`, 'string', 20],
  [`${prefix}Country`, 'string', 80],
]

const OWN: { readonly [name in SObject]: { readonly written: readonly Spec[]; readonly system: readonly Spec[] } } = {
  Contact: {
    written: [
      ['AccountId', 'reference', 18, 'Account ID'],
      ['Department', 'string', 80],
      ['Birthdate', 'date'],
      ['HomePhone', 'phone', 40, 'Home Phone'],
      ['OtherPhone', 'phone', 40, 'Other Phone'],
      ...address('Mailing'),
      ...address('Other'),
    ],
    system: [
      ['MailingAddress', 'address'],
      ['OtherAddress', 'address'],
      ['IsEmailBounced', 'boolean', 0, 'Is Email Bounced'],
    ],
  },
  Lead: {
    written: [
      ['Company', 'string', 255],
      ['Website', 'url', 255],
      ['Status', 'picklist', 255],
      ['Industry', 'picklist', 255],
      ['NumberOfEmployees', 'int'],
      ...address(''),
    ],
    system: [
      ['Address', 'address'],
      ['IsConverted', 'boolean', 0, 'Converted'],
      ['ConvertedDate', 'date', 0, 'Converted Date'],
      ['ConvertedContactId', 'reference', 18, 'Converted Contact ID'],
    ],
  },
}

/** The fields of an org as it is sold, and those that this one has made for itself. */
export function fieldsOf(object: SObject, custom: readonly SimulatedField[]): readonly SimulatedField[] {
  const { written, system } = OWN[object]
  return [
    ...[...SYSTEM, ...system].map((spec) => described(spec, false)),
    ...[...NAMES, ...SHARED, ...written].map((spec) => described(spec, true)),
    ...custom,
  ]
}

/** @param name as its API name, which ends in `__c` */
export function customField(
  name: string,
  type: string,
  length: number,
  more: Partial<SimulatedField> = {},
): SimulatedField {
  return { ...described([name, type, length, name.replace(/__c$/, '').replaceAll('_', ' ')], true), ...more }
}

function described([name, type, length = 0, label = name]: Spec, writable: boolean): SimulatedField {
  const values = PICKLISTS[name] ?? []
  return {
    name,
    label,
    type,
    length,
    createable: writable,
    updateable: writable,
    filterable: type !== 'textarea' && type !== 'address',
    unique: false,
    externalId: false,
    picklistValues: values.map((value) => ({ value, label: value, active: true })),
  }
}
