# ruff: noqa: E501  one sentence or list entry a line reads better than wrapped ones
"""Sentences to fill in: clinician-style notes, questions, everyday and general text, and traps.

All written for this project. ``{SLOT}`` is filled with a made-up value and marked, ``<a|b>``
picks one of its parts, and lower-case slots (``{drug}``) are filled and left unmarked.
"""

from __future__ import annotations

NOTES = """
{age}-year-old <man|woman|male|female> seen at {HOSPITAL} on {DATE}, <ID|MRN|id number|chart> {ID}, <like|sister of|referred by|son of> {NAME}
{age} yo <M|F|male|female> <presented|presents> to {HOSPITAL} <on {DATE} |>with {problem}<, hx of {eponym}|>
{age}y <M|F> w/ {problem}, s/p {dose} {drug}. PCP {NAME}. MRN {ID}.
Patient {NAME} (DOB {DOB}, MRN {ID}) <admitted|discharged|transferred> {DATE} <from|to> {HOSPITAL}
Pt {NAME} is a {age}-year-old from {TOWN} with {problem} and {problem}.
{NAME} is a {age} year old {nationality} {job} who lives in {TOWN} and works at {COMPANY}.
{NAME}, {age}, of {TOWN}, was <seen|evaluated|admitted> for {problem}
Seen by Dr. {LAST} in {HOSPITAL} <cardiology|oncology|ED|the ER|clinic>, plan {drug} {dose}
Dictated by {NAME}, <MD|RN|NP|PA-C|DO|LPN|DPT|PharmD> on {DATE} at {time}
Referring provider: {NAME}, {HOSPITAL}, {ADDRESS}, phone {PHONE}, fax {PHONE}
<Name|Patient name|Patient>: {NAME} <DOB|D.O.B.|Date of birth>: {DOB} <MRN|Record number|Chart #>: {ID} <Phone|Tel|Cell>: {PHONE}
Pt: {NAME}\nDOB: {DOB}\nMRN: {ID}\nAddress: {ADDRESS}\nInsurance: {INSURER} {ID}
Assessment: {problem}. Labs {DATE}: {lab}, {lab}. Dr {LAST} aware.
Called {NAME} at {PHONE}, left voicemail re {lab} <on {DATE}|>
Per {NAME} at {HOSPITAL}, {lab} on {DATE}. Continue {drug} {dose}.
Consult note: {NAME} seen {DATE} by Dr. {NAME} for {eponym}. Follow up {DATE}.
{age}F, G2P1, EDD {DATE}, OB Dr. {LAST} at {HOSPITAL}, {problem}
Telephone encounter {DATE}: {NAME}, <daughter|son|wife|husband|mother> of {NAME}, reports {problem}
Discharge summary {HOSPITAL} <adm|admission> {DATE} <d/c|discharge> {DATE} attending {NAME}
Lab accession {ID} collected {DATE} at {HOSPITAL}: {lab}
The patient, {NAME}, is {AGE} and lives <alone|with {NAME}> at {ADDRESS}
{AGE}-year-old <man|woman> from {TOWN} with {eponym} and {problem}
{AGE} yo <F|M> resident of {HOSPITAL}, {problem}
Device serial <number|#|no.> {ID}, implanted {DATE} by Dr. {LAST} at {HOSPITAL}
Social: works at {COMPANY} in {TOWN}, married to {NAME}, two kids
Prior auth {ID} for {drug} approved by {INSURER} through {DATE}
Mr. {LAST} is a {age}yo with {eponym}, foley in place, {lab}
Mrs. {LAST} called from {PHONE} about {drug}
Baby <boy|girl> {LAST}, born {DOB} at {HOSPITAL}, Apgars 8 and 9
PMH: {problem}, {eponym}. Meds: {drug} {dose}, {drug} {dose}. Seen by {NAME} {DATE}.
Impression: {problem}. cc: Dr. {NAME}, {HOSPITAL}; {NAME}, {HOSPITAL}
Transported by {COMPANY} EMS from {ADDRESS} to {HOSPITAL}, {lab}
Next of kin: {NAME} (<brother|niece|wife>), {PHONE}. POA {NAME}.
SSN {ID}, member ID {ID}, group {ID}, {INSURER}
Emailed {EMAIL} and faxed {PHONE} on {DATE}
my patient {NAME} from {TOWN} had {lab} on {DATE}, DL {ID}
{NAME} {DOB} {ID} {HOSPITAL} {lab}
{LAST}, {FIRST} {age}{sex} {problem} {drug} {dose} rm {num}
Hospital course: {NAME} was transferred from {HOSPITAL} in {TOWN} on {DATE} for {problem}, seen by {NAME}.
"""

QUESTIONS = """
What is the <best treatment|right dose of {drug}|differential> for {NAME}, a {age}-year-old with {problem} seen at {HOSPITAL} on {DATE}?
Can {NAME} (MRN {ID}) take {drug} with {drug}?
My patient {NAME}, born {DOB}, has {lab}; should I stop {drug}?
Is {drug} {dose} safe in a {age} year old with {eponym}?
Is it safe to combine {drug} and {drug} in somebody with {problem}?
What are the first-line drugs for {problem}?
How do I titrate {drug} from {dose} to {dose}?
Summarize the visit of {NAME} on {DATE} with Dr. {LAST}
Write a <letter|referral|note> for {NAME}, DOB {DOB}, who works at {COMPANY}, about {problem}
Draft a reply to {NAME} at {EMAIL} about {lab} from {DATE}
Should {NAME} from {TOWN}, {age}, be tested for {eponym}?
{TWO} is {age} and was told at {HOSPITAL} that {lab}, what next?
Who is on call at {HOSPITAL} on {DATE}? Asking for {NAME}
What does {lab} mean?
When is a {eponym} changed, and how often?
Could this be {eponym} or {problem}?
Does {INSURER} cover {drug} for {problem}?
Where can I get {drug} in {TOWN}?
how long after {problem} can a patient fly to {country}?
Compare {drug} and {drug} for {problem} in a {nationality} patient
What vaccines are needed for travel to {country} in {time}?
what is the dose of {drug} for a {age} year old, weight 70 kg, {lab}?
Explain {eponym} to a {age} year old patient in plain words
Translate this for {NAME}, she speaks {nationality}: take {drug} {dose}
Which guideline applies to {problem} with {lab}?
Interpret: {lab}, {lab}, {lab} in a {age}-year-old <man|woman>
Is {time} too late to restart {drug}?
Please list the side effects of {drug} {dose}
Did Dr. {LAST} at {HOSPITAL} already order a CT for {NAME}, ID {ID}?
Similar to {INITIALED} last week, a {age}-year-old with {problem}: what workup?
like {INITIALED} and {NAME}, this one also has {eponym}
"""

PORTAL = """
Hi, this is {NAME}, <date of birth|DOB|dob|born> {DOB}. I need a refill of {drug} {dose}.
Please send {drug} to {PHARMACY} <in|on> {PLACE}.
My <husband|wife|mom|dad|son|daughter|father|mother|grandmother> {NAME} has {problem} since {time}.
I moved to {ADDRESS}. My new phone is {PHONE} and my email is {EMAIL}.
my insurance changed to {INSURER}, <member|ID|policy|group|subscriber> <number|no|#|id> {ID}
Thanks, {NAME}
Thank you. {NAME} {PHONE}
{NAME}, {DOB}
{FIRST} has had {problem} {time} and {FIRST} is not better
I saw Dr. {LAST} on {DATE} <at {HOSPITAL}|> about my {body}.
I have an appointment <with Dr. {LAST} |>on the {DAY} <at 3|at 9:30|in the morning|> and need to move it to the {DAY}
can i come on the {DAY} or {DAY} instead
my surgery is {DATE} at {HOSPITAL}, do I stop {drug}?
The form is from {SCHOOL} for {FIRST}'s asthma plan, due {DATE}
I work at {COMPANY} and HR needs a note by {DATE}. Fax {PHONE}, attn {NAME}
I got a bill from {HOSPITAL}, account {ID}, for $<120|45.60|1,280>, dated {DATE}
claim <number|no.|#> {ID} was denied by {INSURER}
My father is {AGE} and has {problem}
She is {AGE} and takes {drug}
mom turned {AGE} last week, {lab}
he's {age}, has {eponym}, lives in {TOWN}
Rx <number|#|no> {ID}, {drug} {dose}, {PHARMACY}
please call my sister {FIRST} at {PHONE} after {time}
I'm in {TOWN} visiting {FIRST} until {DATE} and forgot my {drug}
We are traveling to {TOWN}, {country} on {DATE}
i live in {TOWN} now. zip code {ZIP}
Can {FIRST} at the front desk call me? She knows about it
say hi to {FIRST} and {FIRST} from me
{FIRST} was my nurse and she was great
I want Dr {LAST} not Dr {LAST}
dr {last_lower} said {dose} of {drug}
ask {first_lower} about it pls
{full_lower} {DOB} needs {drug}
this is {full_lower}, my number is {PHONE}
please tell {FIRST} that {FIRST}'s labs on {DATE} were fine, {lab}
{FIRST}'s fever is 102 since {time}, gave {drug} {dose}
MY NAME IS {NAME_CAPS}. I LIVE IN {TOWN_CAPS}. CALL ME AT {PHONE}
I go to {PHARMACY} now not {PHARMACY}
transfer it from {PHARMACY} to {PHARMACY} on {STREET}
the place is {HOSPITAL}, {ADDRESS}, fax {PHONE}
My blood pressures: {DATE} 132/80, {DATE} 128/78, {DATE} 136/82
{DATE} am 100.9\n{DATE} pm 101.2\n{DATE} 99.1
I will be out from {DATE} to {DATE}
It started on {DATE} and by {DATE} it was gone
Last 4 of my social {ID4}
card ending in {ID4}
confirmation {ID}, reference {ID}
my <MRN|medical record number|chart number|patient number> is {ID}
serial number on the <pump|meter|CPAP|machine> is {ID}
my license number is {ID} and my passport is {ID}
case manager {NAME} at {INSURER}, ext <204|12|5521>, {PHONE}
Attn: {NAME}, {COMPANY}, {ADDRESS}
{NAME}, RN\n{HOSPITAL}\n{PHONE}
I am {NAME}, <mother|father|daughter|guardian|caregiver> of {NAME}
{FIRST} and {FIRST} both have {problem}. {FIRST} is {age}, {FIRST} is 4.
I talked to {FIRST} at your office {time}
Sincerely,\n{NAME}
- {FIRST}
xoxo {FIRST}
sent from my phone {FIRST}
my ex {FIRST} should be taken off my account
my grandson {FIRST} goes to {SCHOOL} in {TOWN}
do you take {INSURER}? we have it through {COMPANY}
The lab at {HOSPITAL} has my {lab} from {DATE}
the {HOSPITAL} ER told me to see you
She was in {HOSPITAL} from {DATE} to {DATE} with {problem}
We go to {SCHOOL}, nurse is {NAME}, fax {PHONE}
{LAST} family here, all four of us need flu shots
it's for {FIRST}, not for me
Is {FIRST} in on {time}?
Dear Dr. {LAST},
Dear {FIRST},
Hola, soy {FIRST}. I need help with {problem}
Baby <Boy|Girl> {LAST}, {DOB}
{FIRST}
{FIRST}, {FIRST}
thx {FIRST}
ty - {TWO}
{FIRST} again. still waiting
it's {FIRST}
{FIRST}'s mom here
hey its {first_lower}
my name's {first_lower}
<Grandma|Uncle|Aunt|Cousin|Nana|Papa|Mr|Miss|Coach|Pastor|Sister> {FIRST} <fell|is sick|passed away|came over>
{FIRST} <has|had|is|was|takes|needs|wants|says|started|fell|threw up|can't sleep|got> {problem}
<tell|ask|remind|thank|call|text|email> {FIRST} <please|about {drug}|that I called|for me|>
I spoke with {FIRST} in <billing|scheduling|the lab|triage> on {DATE}
the {INSURER} rep named {FIRST} said no
{INSURER} won't pay for {drug}
{INSURER} says {drug} needs a PA
we lost {INSURER} and have {INSURER} now
does {HOSPITAL} take {INSURER}?
{HOSPITAL} wants {drug} stopped
I'm at {HOSPITAL} right now
{COMPANY} delivers my <oxygen|CPAP supplies|catheters|formula|pump supplies>
The <oxygen|wheelchair|CPAP|brace> people are {COMPANY}
Live at Rt 2 Box 118, {TOWN}
I live off {STREET}, the {TOWN} side
drive in from {TOWN}, two hours
Used to live in {TOWN} before {TOWN}
originally from {TOWN}
any {PHARMACY} near {TOWN} is ok
my code is {IDSPACED}
id {IDSPACED}
{ID}
my {INSURER} card: {ID}
ref # {ID} order # {ID}
the <tag|sticker|bracelet|label|bottle|box|letter> says {ID}
the {DAY}
on the {DAY} i go to {TOWN}
between the {DAY} and the {DAY}
the {DAY} of this month
by the {DAY} please
due the {DAY}, I run out the {DAY}
"""

GENERAL = """
<Our|The> new office is at {ADDRESS}, please update your records
You can write to me at {ADDRESS}
Ship the package to {NAME}, {ADDRESS}
{NAME} moved from {TOWN} to {TOWN} in 2019
I grew up in {TOWN}, {country}
The meeting in {TOWN} was moved to {DATE}
{NAME} joined {COMPANY} as <a|the new> {job} on {DATE}
{COMPANY} is hiring a {job} in {TOWN}
{NAME}, who founded {COMPANY}, was born in {TOWN} on {DOB}
My boss at {COMPANY}, {NAME}, is {nationality}
The {nationality} {job} {NAME} spoke in {TOWN} last night
Charge it to my card {CARD}, it expires next year
the credit card number is {CARD}
Wire the rent to {ID}, account holder {NAME}
my social security number is {SSN}
driver's license {ID} issued in {state}
The server at {IP} is down
log in from {IP} with {EMAIL}
Ring me on {PHONE} when you land
If nobody answers {PHONE}, try {PHONE}
{NAME} can be reached at {PHONE} or {EMAIL}
Reply to {EMAIL} before {DATE}
Our flight to {TOWN} leaves {DATE} at 7:40
The train from {TOWN} to {TOWN} is late
{NAME} wrote a song about {TOWN}
Have you read the new book by {NAME}?
{NAME} and {NAME} got married in {TOWN} <on {DATE}|in 2021>
Meet {NAME}. {FIRST} lives in {TOWN} with two dogs
Her name is {FIRST}, she is {nationality}
<Mr|Mrs|Ms|Dr>. {LAST} <bought|sold|rented> the house on {STREET}
I parked on {STREET} near the {COMPANY} building
turn left on {STREET}, then right on {STREET}
The zip code for {TOWN} is {ZIP}
It snowed in {TOWN} on {DATE}
{COMPANY} and {COMPANY} announced a merger {time}
Shares of {COMPANY} fell after {NAME} resigned
I bank with {COMPANY}, do you?
I want to close my account with {COMPANY}
The invoice from {COMPANY} was never paid
{NAME} studied at {SCHOOL} and now works for {COMPANY}
Who is {NAME}?
How old is {NAME}?
Where does {NAME} live? I think in {TOWN}
Is {COMPANY} open on {DATE}?
{NAME} scored twice against {TOWN}
President {LAST} visited {TOWN}, {country}, on {DATE}
Judge {LAST} ruled against {COMPANY}
officer {LAST} stopped me on {STREET}
What a concert! {NAME} was amazing in {TOWN}
We ate at {COMPANY} in {TOWN}, the waiter {FIRST} was rude
I work for {COMPANY}
I'm {NAME}, a {job} at {COMPANY}
{NAME}\n{job}\n{COMPANY}\n{ADDRESS}\n{PHONE}\n{EMAIL}
{NAME}\n{ADDRESS}
{ADDRESS}
From: {NAME} <{EMAIL}>\nDate: {DATE}\nTo: {NAME}
The capital of {country} is {TOWN}
The population of {TOWN} grew by 4 percent
there is no such place as {TOWN} in {country}
They sell {COMPANY} products everywhere
The house at {ADDRESS} belongs to {NAME}
He was born on {DOB} in {TOWN} and died there on {DATE}
The {COMPANY} store in {TOWN} has closed
Your order from {COMPANY} ships {DATE} to {ADDRESS}
Visit us at {URL} or call {PHONE}
the site {URL} asks for my password
Block my card {CARD} please, it was stolen in {TOWN}
Transfer 200 dollars to {NAME}, IBAN {IBAN}
My IBAN is {IBAN}
{FIRST}, {FIRST} and {FIRST} are coming too
I told {FIRST} that {FIRST} was wrong
{NAME} from {COMPANY} left a message at {PHONE}
how do I get from {ADDRESS} to {ADDRESS}?
I am from {TOWN} but my parents are {nationality}
The {LAST}s live next door
{LAST} Street Theater in {TOWN} shows it {time}
in {TOWN}, people speak {nationality}
As a {nationality} citizen I can't vote in {country}
I'd like a taxi to {ADDRESS} please
I lost my wallet near {STREET}, license {ID}, name {NAME}
{NAME} said {COMPANY} would call
{COMPANY} called me twice
{COMPANY} charged me for nothing
My flight with {COMPANY} to {TOWN} was cancelled
She teaches at {SCHOOL}
{NAME} plays for {COMPANY}
The {COMPANY} website is down
Is {NAME} related to {NAME}?
{FIRST} and I drove through {TOWN}, {TOWN} and {TOWN}
{NAME} ({COMPANY}) and {NAME} ({COMPANY}) attended
Buy one at {COMPANY} or {COMPANY}
{ADDRESS} is where I work
Deliver to {ADDRESS}. Bill to {ADDRESS}.
Our branch: {ADDRESS}, tel {PHONE}
Mail: {ADDRESS}
I can see {STREET} from my window in {TOWN}
{NAME}: {PHONE}
{NAME} | {COMPANY} | {EMAIL}
Best,\n{FIRST}\n{job}, {COMPANY}
"""

TRAPS = """
I may march in the parade, and will chase the bill in august heat
My {eponym} is acting up and {drug} {dose} is not helping
He has {eponym} and {problem}, {lab}
{eponym} since {time}, on {drug}
Is {eponym} hereditary? My {body} hurts
changed the Foley {time}, urine is clear
Do I need a {eponym} before {time}?
{lab}. {lab}. {lab}. Is that ok?
BP log: 132/80, 128/78, 141/90, 119/70, pulse 72
took {drug} {dose} at {time} and {dose} at {time}
{drug} {dose}, {drug} {dose}, {drug} {dose}
pain is 6/10 in my {body}, 8/10 at night
May I take {drug} in May? Will it help? Can I chase it with juice?
March was bad, April was better, in June it was gone
I have had {problem} since March 2024
I am {age} and have {problem}
My son is {age_small} and has {problem}
My daughter, {age_small}, has {problem} {time}
temperature 101.4, oxygen 95, heart rate 98, sugar 104
My oxygen is 93 and my pulse is 92
weight 94 kg, height 172 cm
It was 97 degrees and I felt faint after 90 minutes
I take it for 90 days, 90 pills, 3 refills
sugars 118 124 109 131 120 115
take 1/2 tab for 7 days, then 1/4
on the first day I threw up, on the second day I was better
the 2nd dose of the vaccine was worse than the 1st
my third baby, second trimester, 1st visit
my sister, my mother and my aunt all had {problem}
The nurse was kind. The doctor said wait. The pharmacy is closed.
Medicare paid, Medicaid did not, the VA will not, Social Security sent a letter
I called 988 and 911
Happy Thanksgiving and Merry Christmas to everyone
my dog Max bit my {body}
the cat scratched my {body}, is that {problem}?
Can the doctor send {drug} to my pharmacy?
please mail it to my house
I feel like Hell. What a pain in the neck.
PLEASE CALL ME ABOUT {drug_caps}. I AM VERY UPSET
I need {problem} looked at {time}
code 99213 on the bill, J1745, CPT 20610, Z79.4, E11.9
{drug} costs $<45|120.50|1,280> and the copay is $<30|75>
my A1c was 7.2, then 6.8, LDL 141, HDL 52, triglycerides 188
CT scan of the chest, MRI of the {body}, X-ray of my {body}
See you Monday at 9:30. Tuesday works too.
I'm {nationality} and I live alone
Is it OK to fly to {country} after surgery?
Patient denies fever, chills, {problem}. No acute distress. Alert and oriented x3.
Heart: RRR. Lungs: CTAB. Abdomen: soft. Extremities: no edema.
Rest, ice, {drug} {dose} prn. Follow up in 2 weeks.
Metformin was stopped. Jardiance was started. Lisinopril unchanged.
Advair, Symbicort or Trelegy: which is cheaper?
Should I hold {drug} before the colonoscopy with Suprep?
Vitamin D, Calcium, Magnesium, Zinc and Ensure
Amsler grid looks wavy in my left eye
I had a Pap and a Mirena put in
the Dexcom says LOW, the Omnipod alarms
I do Kegels and wear a Holter
Physical Therapy, Occupational Therapy, Urology, Cardiology: who do I call?
Primary care, Internal Medicine, the Emergency Room and Urgent Care were full
Hi Doctor, Good morning Nurse, Thanks Team
Mom fell. Dad is fine. Grandma is coming. Auntie drives.
to whom it may concern
Regards, a grateful patient
To Whom It May Concern: Please excuse this patient from work
What Happens If I Miss A Dose? Is It Safe?
Why is my {body} numb? Does {problem} cause it?
Take {drug} With Food. Do Not Crush. Shake Well.
Who should get Shingrix, Prevnar 20 or Boostrix?
{drug}
{drug} {dose}
{drug} and {drug} are both on backorder
I stopped {drug} and started {drug} {dose}, then {drug}
Does {drug} interact with {drug}, {drug} or {drug}?
the {drug} needs a prior auth again
out of {drug}, please send
{drug} 145 is too expensive, is {drug} 40 the same
{drug}-{drug} combo or just {drug}?
{look} is what I meant
I asked {look} and nobody called back
{look}, I have a question about {drug}
{look}! Quick question about {problem}
we talked to {look} about it {time}
I watch {look} with the kids when my {body} hurts
it is {look}, not {look}
A. {body} B. {body} C. {body}
a. {drug} b. {drug} c. {drug}
1. {problem} 2. {problem} 3. {problem}
BP 10/20 scale? no. {lab}
Mon 128/74, Tues 133/70, Weds 126/68, Thurs 130/72
sliding scale 5/5/5/7.5, carb ratio 1:10, correction 2-4 units at 150-200
insulin 10 / 7 / 5 with meals, 8 / 6 / 3 if I walk
7-9 out of 10, sometimes 2-4
warfarin 5, 5, 7.5, 5, 5, 7.5, 5
page 2 of 4, form 10-10172, box 12
grade 2-3, stage 3b, T2N1M0, HLA-B27 positive, BI-RADS 4
the 1st one, the 2nd one and the 3rd one
every 1st and 15th of the month I get paid
my 95 year old house has stairs, 96 of them
oxygen went from 95 to 91, heart rate 97
Is it too soon? Too late? Who knows.
Just checking. Following up. Second request. Third try.
Please advise. Thanks so much. Best, your patient
Sorry for the long message
neighbor says try {drug}, my sister says {drug}
"""

SPANISH = """
Buenos días, soy {NAME}, fecha de nacimiento {FECHA}. Necesito {drug}.
Hola doctora {LAST}, mi hija {FIRST} tiene fiebre desde ayer
Mi mamá {NAME} tiene {AGE} años y vive en {TOWN}
La farmacia {PHARMACY} que está en la {STREET_ES} no tiene {drug}
Mi número es {PHONE} y mi correo es {EMAIL}
Tengo cita el {FECHA} con el doctor {LAST} y quiero cambiarla
me llamo {NAME}, mi número de seguro es {ID}
mi esposo {FIRST} toma {drug} {dose} y le duele el pecho
Gracias, {NAME}
Vivo en {ADDRESS}. Mi teléfono {PHONE}
Trabajo en {COMPANY} y necesito una carta para el {FECHA}
Me duele la cabeza y tengo mareos, la presión está en 160/95
Mi azúcar amaneció en 210, qué hago
No me ha bajado la regla y tengo náusea en la mañana
Tengo tos y gripa desde hace tres días, tomo {drug}
¿Puedo tomar {drug} si estoy embarazada?
La señora {LAST} llamó de {HOSPITAL} por los resultados del {FECHA}
cuenta número {ID}, me cobraron doble
para mi niño {FIRST}, de {age_small} años, necesito el papel de la escuela {SCHOOL}
Dr. {LAST}, buenas tardes, se me acabó la {drug}
Mayo es mi mes, en marzo estuve enferma, en abril mejor
"""
