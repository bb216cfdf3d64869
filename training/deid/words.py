# ruff: noqa: E501  one sentence or list entry a line reads better than wrapped ones
"""Word lists for made-up messages: what must be learnt as an identifier, and what must not.

Everything is written for this project. The names among common words ("May", "Grace", "Low"), and
the surnames among diseases ("Graves", "Foley"), stand on both sides, so that only the words
around them can tell.
"""

from __future__ import annotations

WORD_NAMES = (
    "May April June Rose Will Mark Grace Hope Joy Bill Pat Sue Chase Hunter Dawn Crystal Amber Ruby "
    "Pearl Jasmine Violet Lily Ivy Iris Daisy Angel Faith Charity Destiny Sky River Sage Basil Cash "
    "Drew Frank Gene Grant Jack Lance Miles Nick Norm Pierce Ray Rich Rob Rusty Skip Art Buck Chip "
    "Chuck Clay Cliff Dale Dean Guy Wade Autumn Summer Melody Harmony Patience Constance Prudence "
    "Mercy Olive Ginger Rosemary Jade Coral Robin Wren Jay Penny Sunny Misty Stormy Blaze Ace Major "
    "King Duke Prince Royal Gray Scout Story True Ever Heaven Trinity Genesis Messiah Bishop Mo Bo Al"
).split()
WORD_SURNAMES = (
    "Young Low Stone White Brown Black Long Short Small Rice Bush Banks Hill Wood Rivers Green Gray "
    "Field Fields Waters Brook Brooks Lake Pond Marsh Moon Day Knight Winter Frost Snow Love Hart "
    "Head Foot Hand Legg Back Bone Blood Payne Cough Akers Swift Strong Hardy Good Best Sharp Smart "
    "Moody Savage Church Bishop Pope Priest Cook Baker Butler Carter Porter Potter Miller Mason Page "
    "Park Parks Price Power Powers Read Reed Sands Shields Speed Street Sweet Temple Tuck Walker Wall "
    "Ward Ware Wise Wolf Woods Word Nurse Doctor Law Case Chance Childs Close Cross Crane Drake Fish "
    "Fox Finch Hawk Lamb Bird Bull Campbell Do Im An So To Ng Vo Le Ha Ho Mai Lo Yu Hu An Ma Nay"
).split()
EPONYMS = (
    "Parkinson's disease|Parkinsons|Graves disease|Graves' disease|Crohn's|crohns|Crohn's disease|"
    "Addison's disease|Addison's|Foley catheter|Foley|foley bag|Hashimoto's|Hashimoto thyroiditis|"
    "Bell's palsy|Down syndrome|Hodgkin lymphoma|non-Hodgkin's|Cushing's|Wilson's disease|"
    "Baker's cyst|Barrett's esophagus|Raynaud's|Tourette syndrome|Marfan|Turner syndrome|"
    "Huntington's|Alzheimer's|alzheimers|Bartholin cyst|Braxton Hicks|Epley maneuver|Whipple|"
    "Mohs surgery|Kegel exercises|Kegels|Babinski|Glasgow Coma Scale|Apgar 9|Doppler|Holter monitor|"
    "Hickman line|Broviac|Jackson-Pratt drain|JP drain|Penrose drain|Sjogren's|Sjögren's|Behcet's|"
    "Meniere's|Kawasaki disease|Osgood-Schlatter|Sever's disease|Legg-Calve-Perthes|Dupuytren's|"
    "De Quervain's|Colles fracture|Jones fracture|Lisfranc injury|Achilles tendon|Heberden nodes|"
    "Lewy body dementia|Lou Gehrig's disease|Guillain-Barre|Charcot foot|Tylenol|Lyme disease|"
    "Ebstein|Fontan|Ross procedure|Nissen fundoplication|Roux-en-Y|Billroth|Hartmann's|Pap smear|"
    "Pap test|Gardasil|Mantoux|Coombs test|Wassermann|Ishihara|Snellen chart|Amsler grid|"
    "Wolff-Parkinson-White|Brugada|Takotsubo|Von Willebrand disease|Christmas disease|"
    "Reye's syndrome|Munchausen|Asperger's|Rett syndrome|Angelman|Prader-Willi|Noonan|Ehlers-Danlos|"
    "Paget's disease|Still's disease|Wegener's|Goodpasture|Alport|Berger's|Conn's|Zollinger-Ellison|"
    "Peyronie's|Mallory-Weiss|Boerhaave|Zenker's|Gilbert's syndrome|Hirschsprung's|Meckel's|"
    "Lynch syndrome|Gardner syndrome|Gleason 7|Breslow depth|Clark level|Ann Arbor stage II|"
    "Karnofsky|Likert|Beck depression inventory|Hamilton scale|Edinburgh scale|Bishop score|"
    "Child-Pugh|Wells score|Ottawa rules|Epstein-Barr|Norwalk virus|Coxsackie|Ebola|West Nile|"
    "Zika|Marburg|Rocky Mountain spotted fever|St. John's wort|Adam's apple|Montgomery glands|"
    "Skene's gland|Morton's neuroma|Tommy John surgery|Bankart repair|Latarjet|Hill-Sachs|"
    "Scheuermann's|Chiari malformation|Todd's paralysis|Horner's|Adie pupil|Marcus Gunn|Stevens-Johnson"
).split("|")
DRUGS = (
    "metformin|lisinopril|Eliquis|Xarelto|Zoloft|sertraline|gabapentin|Lantus|Humalog|Ozempic|"
    "Mounjaro|prednisone|albuterol|Symbicort|Advair|Flonase|Zyrtec|Claritin|Benadryl|Tylenol|Advil|"
    "ibuprofen|amoxicillin|Augmentin|Bactrim|cipro|Keflex|Norco|oxycodone|tramadol|Lyrica|Cymbalta|"
    "Effexor|Lexapro|Prozac|Wellbutrin|Adderall|Concerta|Vyvanse|Ritalin|Seroquel|Abilify|lithium|"
    "Lamictal|Keppra|Depakote|Synthroid|levothyroxine|Armour Thyroid|Lipitor|atorvastatin|Crestor|"
    "losartan|amlodipine|metoprolol|carvedilol|Entresto|Lasix|furosemide|spironolactone|warfarin|"
    "Coumadin|Plavix|aspirin|omeprazole|Protonix|pantoprazole|Zofran|Reglan|Miralax|Colace|Humira|"
    "Enbrel|Stelara|Remicade|methotrexate|Plaquenil|Prolia|Fosamax|Evenity|Reclast|Ambien|trazodone|"
    "melatonin|Xanax|Ativan|Klonopin|Suboxone|naltrexone|Chantix|nicotine patch|Premarin|estradiol|"
    "Nexplanon|Mirena|Depo|Plan B|Aimovig|Emgality|Nurtec|Imitrex|Botox|Sinemet|Aricept|Namenda|"
    "tamoxifen|Arimidex|Keytruda|Opdivo|Taxol|Carboplatin|Neulasta|Flomax|Proscar|Cialis|Viagra|"
    "Rogaine|Accutane|tretinoin|clobetasol|hydrocortisone|Neosporin|EpiPen|Dexcom|Libre|Omnipod|"
    "vitamin D|B12|iron|magnesium|fish oil|St. John's wort|turmeric|CBD|Pedialyte|Ensure|Boost|Jardiance"
).split("|")
PROBLEMS = (
    "chest pain|shortness of breath|a fever|a rash|back pain|knee pain|a cough|sore throat|headache|"
    "migraines|dizziness|nausea|vomiting|diarrhea|constipation|fatigue|insomnia|anxiety|depression|"
    "high blood pressure|type 2 diabetes|type 1 diabetes|asthma|COPD|heart failure|atrial fibrillation|"
    "afib|a UTI|kidney stones|CKD stage 3|hypothyroidism|anemia|gout|osteoarthritis|RA|lupus|psoriasis|"
    "eczema|shingles|cellulitis|pneumonia|bronchitis|COVID|the flu|strep|an ear infection|sinusitis|"
    "pink eye|glaucoma|cataracts|macular degeneration|hearing loss|tinnitus|vertigo|a concussion|"
    "a seizure|epilepsy|a stroke|TIA|neuropathy|sciatica|a herniated disc|carpal tunnel|a torn ACL|"
    "plantar fasciitis|a hip fracture|osteoporosis|breast cancer|prostate cancer|colon polyps|"
    "diverticulitis|IBS|ulcerative colitis|GERD|gallstones|hepatitis C|cirrhosis|pancreatitis|a hernia|"
    "appendicitis|endometriosis|PCOS|heavy periods|hot flashes|preeclampsia|gestational diabetes|"
    "postpartum bleeding|mastitis|colic|reflux|jaundice|croup|RSV|ADHD|autism|bipolar disorder|PTSD|"
    "OCD|an eating disorder|alcohol use disorder|opioid use disorder|sleep apnea|a DVT|a PE|"
    "lymphedema|a pressure ulcer|a wound infection|MRSA|C diff|sepsis|HIV|syphilis|chlamydia"
).split("|")
BODY = (
    "left knee|right shoulder|lower back|left arm|right hip|neck|ankle|wrist|elbow|left foot|big toe|"
    "belly|stomach|groin|chest|jaw|ear|left eye|right eye|scalp|calf|thigh|breast|throat|tongue|hand"
).split("|")
LABS = (
    "A1c 7.2|hemoglobin 10.4|TSH 4.8|creatinine 1.3|potassium 5.6|sodium 128|INR 2.5|PSA 4.1|LDL 141|"
    "eGFR 58|WBC 12.3|platelets 98|platelets 150,000|ferritin 9|vitamin D 18|ALT 64|AST 51|BNP 880|"
    "troponin <0.01|glucose 212|HbA1c of 9.1 percent|CRP 18|ESR 44|PHQ-9 14|GAD-7 11|EF 35%|O2 sat 91%|"
    "SpO2 88 percent|pulse 110|HR 52|temp 101.3|BMI 34|weight 182 lb|FEV1 62%|viral load 20|CD4 450|"
    "lithium 0.9|tacro 7.2|Hgb 7.9|hct 31|MELD 12|Apgars 8 and 9|BP 162/108|BP was 98/60|bp 140/90"
).split("|")
DOSES = (
    "5 mg|10mg|20 mg twice a day|500 mg tid|0.25 mg weekly|40 units|2 puffs|1 tab qhs|5/325|10-325|"
    "160/4.5|50 mcg|100mg po bid|half a tablet|2 ml|5,000 units|81 mg|12.5 mg|1/2 tab|75 mcg daily|"
    "300 mg q8h|4 mg sublingual|1000 IU|1 g IV|3 drops|two tablets at bedtime|2.5 of the liquid"
).split("|")
TIMES = (
    "3 pm|at 9:30|9:15 AM|in the morning|at 14:00|yesterday|tomorrow|last night|this morning|"
    "last week|two weeks ago|next Tuesday|on Monday|since Friday|3 days ago|in March|since January|"
    "in 2019|last May|this summer|around noon|by Thursday|for 6 weeks|over the weekend|at Christmas|"
    "after Thanksgiving|on Easter|since 2 in the morning|until 5|twice a week|every 4 hours|in the fall"
).split("|")
COUNTRIES = (
    "Mexico|Canada|India|Germany|France|Italy|Spain|Portugal|Poland|Ukraine|Russia|China|Japan|Korea|"
    "Vietnam|the Philippines|Thailand|Nigeria|Ghana|Kenya|Ethiopia|Somalia|Egypt|Morocco|Brazil|"
    "Colombia|Peru|Chile|Argentina|Cuba|Haiti|Jamaica|Guatemala|Honduras|El Salvador|England|Scotland|"
    "Ireland|the UK|the United States|the US|Australia|New Zealand|Sweden|Norway|Denmark|Finland|Iran|"
    "Iraq|Syria|Turkey|Pakistan|Bangladesh|Texas|California|Florida|Ohio|New York State|Oregon|Maine|"
    "Alabama|Michigan|Arizona|Nevada|Montana|Georgia|Virginia|Minnesota|Wisconsin|Iowa|Kansas|Utah"
).split("|")
NATIONALITIES = (
    "Mexican|Canadian|Indian|German|French|Italian|Spanish|Polish|Russian|Chinese|Japanese|Korean|"
    "Vietnamese|Filipino|Nigerian|Somali|Egyptian|Brazilian|Cuban|Haitian|British|Irish|American|"
    "Swedish|Turkish|Greek|Dutch|Jewish|Muslim|Catholic|Hindu|Buddhist|Republican|Democrat|Latino"
).split("|")
JOBS = (
    "teacher|nurse|plumber|engineer|accountant|driver|cook|manager|attorney|professor|carpenter|"
    "receptionist|software developer|sales rep|journalist|pilot|farmer|mechanic|librarian|artist|"
    "barista|consultant|electrician|chef|security guard|dentist|pharmacist|social worker|director"
).split("|")
TOWNS = (
    "Flagstaff|Tulsa|Spokane|Dubuque|Bemidji|Duluth|Kalamazoo|Yakima|Baton Rouge|Las Cruces|El Paso|"
    "Albuquerque|Boise|Fargo|Bismarck|Sioux Falls|Rapid City|Cheyenne|Casper|Billings|Missoula|Helena|"
    "Great Falls|Eugene|Salem|Bend|Medford|Redding|Fresno|Modesto|Bakersfield|Stockton|Oakland|San Jose|"
    "Santa Rosa|Ukiah|Eureka|Sacramento|Reno|Elko|Provo|Ogden|St. George|Moab|Durango|Pueblo|Boulder|"
    "Santa Fe|Roswell|Lubbock|Amarillo|Waco|Tyler|Laredo|McAllen|Shreveport|Monroe|Biloxi|Mobile|Dothan|"
    "Macon|Savannah|Augusta|Valdosta|Tallahassee|Ocala|Tampa|Naples|Miami|Charleston|Asheville|Durham|"
    "Raleigh|Roanoke|Norfolk|Richmond|Baltimore|Frederick|Hagerstown|Scranton|Erie|Altoona|Pittsburgh|"
    "Allentown|Newark|Camden|Trenton|Hoboken|Yonkers|Albany|Utica|Syracuse|Rochester|Buffalo|Ithaca|"
    "Burlington|Rutland|Concord|Nashua|Portland|Bangor|Lewiston|Worcester|Lowell|Springfield|Hartford|"
    "New Haven|Providence|Toledo|Akron|Dayton|Lima|Fort Wayne|Gary|South Bend|Evansville|Muncie|Peoria|"
    "Rockford|Decatur|Champaign|Cairo|Joliet|Lansing|Flint|Saginaw|Traverse City|Green Bay|Madison|"
    "Eau Claire|La Crosse|Wausau|Rochester|Mankato|St. Cloud|Ames|Davenport|Sioux City|Omaha|Lincoln|"
    "Grand Island|Topeka|Wichita|Salina|Joplin|Sedalia|Columbia|St. Louis|Kansas City|Little Rock|Conway|"
    "Fayetteville|Memphis|Jackson|Knoxville|Chattanooga|Nashville|Bowling Green|Paducah|Lexington|"
    "Louisville|Huntington|Wheeling|Beckley|Morgantown|Anchorage|Fairbanks|Juneau|Honolulu|Hilo|London|"
    "Paris|Berlin|Madrid|Lisbon|Rome|Milan|Warsaw|Krakow|Kyiv|Moscow|Istanbul|Cairo|Lagos|Accra|Nairobi|"
    "Addis Ababa|Mogadishu|Mumbai|Delhi|Chennai|Hyderabad|Lahore|Karachi|Dhaka|Manila|Cebu|Hanoi|Saigon|"
    "Ho Chi Minh City|Seoul|Busan|Tokyo|Osaka|Beijing|Shanghai|Guangzhou|Taipei|Hong Kong|Singapore|"
    "Sydney|Melbourne|Toronto|Montreal|Vancouver|Calgary|Halifax|Tijuana|Monterrey|Guadalajara|Oaxaca|"
    "Puebla|Mexico City|San Salvador|Tegucigalpa|Havana|Port-au-Prince|Kingston|San Juan|Ponce|Bogotá|"
    "Medellín|Lima|Quito|Santiago|Buenos Aires|São Paulo|Rio|Dublin|Cork|Leeds|Bristol|Reading|Bath|"
    "Mesa|Orange|Bishop|Weed|Truth or Consequences|Hazard|Mercy|Price|Hope|Ely|Burns|Sisters|Plains|"
    "Wall|Rifle|Craig|Page|Globe|Why|Surprise|Normal|Hell|Paradise|Carefree|Friendship|Independence|"
    "Franklin County|Cook County|Dane County|Harris County|Maricopa County|Brooklyn|Queens|the Bronx|"
    "Staten Island|Harlem|Hyde Park|Capitol Hill|Lakeview|Eastside|Midtown|Oak Park|Cedar Rapids"
).split("|")
PHARMACIES = (
    "Walgreens|CVS|Rite Aid|Walmart|Walmart Pharmacy|Kroger|Costco|Costco Pharmacy|Publix|Hy-Vee|Meijer|"
    "Safeway|Albertsons|H-E-B|HEB|Giant Eagle|Wegmans|ShopRite|Fred Meyer|Target/CVS|Sam's Club|Bartell|"
    "Express Scripts|OptumRx|Caremark|CVS Caremark|Accredo|Amazon Pharmacy|PillPack|Humana Pharmacy|"
    "Food City|Food Lion|Winn-Dixie|Harris Teeter|Stop & Shop|Duane Reade|Osco|Jewel-Osco|Vons|Ralphs|"
    "Farmacia San Juan|Farmacia del Ahorro|Boots|Shoppers Drug Mart|Rexall"
).split("|")
INSURERS = (
    "Aetna|Cigna|Humana|UnitedHealthcare|United Healthcare|UHC|Blue Cross|Blue Cross Blue Shield|BCBS|"
    "Anthem|Kaiser|Kaiser Permanente|Molina|Ambetter|Oscar|Oscar Health|Premera|Regence|Highmark|Centene|"
    "WellCare|Medica|HealthPartners|UCare|Tufts Health Plan|Harvard Pilgrim|Fallon|Geisinger|UPMC|"
    "Independence|Horizon|EmblemHealth|Fidelis|Healthfirst|MVP|Excellus|CareSource|Buckeye|Priority Health|"
    "Delta Dental|MetLife|Guardian|Aflac|VSP|EyeMed|Mutual of Omaha|AARP|Unum|The Hartford|State Farm|"
    "Tricare|Devoted|Alignment|SCAN|Optum|Magellan|Beacon|Carelon|Sedgwick|Cobra Solutions"
).split("|")
HOSPITALS = (
    "Mayo Clinic|Cleveland Clinic|Johns Hopkins|Mass General|MGH|Brigham|Mount Sinai|NYU Langone|Stanford|"
    "UCSF|UCLA|Duke|Vanderbilt|Emory|Northwestern|Rush|Cedars-Sinai|Sutter|Dignity|Intermountain|Banner|"
    "Providence|Swedish|Virginia Mason|Legacy|OHSU|Fairview|Sanford|Essentia|Avera|Gundersen|Aurora|"
    "Ascension|Advocate|Henry Ford|Beaumont|Bellevue|Montefiore|Geisinger|Quest|Quest Diagnostics|Labcorp|"
    "LabCorp|DaVita|Fresenius|Lincare|Apria|Byram|Edgepark|Minute Clinic|Planned Parenthood|Kindred|"
    "MD Anderson|Memorial Sloan Kettering|Sloan Kettering|Dana-Farber|Joslin|Shriners|CHOP|St. Jude|"
    "Boston Children's|Texas Children's|Seattle Children's|Nationwide Children's|Cook Children's"
).split("|")
EMPLOYERS = (
    "Amazon|Google|Microsoft|Apple|Tesla|Ford|Toyota|Boeing|Deloitte|Accenture|IBM|Oracle|FedEx|UPS|"
    "Home Depot|Lowe's|Starbucks|McDonald's|Target|Chipotle|Tyson|Cargill|John Deere|Caterpillar|3M|"
    "Wells Fargo|Chase|Bank of America|Citi|Goldman Sachs|Verizon|AT&T|Comcast|Delta|United|Southwest|"
    "Marriott|Hilton|Uber|Lyft|Netflix|Disney|Nestle|Siemens|Samsung|Sony|Shell|Exxon|Pfizer|Merck|"
    "Harvard University|MIT|Stanford University|Ohio State|Penn State|Purdue|Microsoft Germany|Volkswagen"
).split("|")
# Brands and substances that look like surnames, towns or firms: never identifiers.
DRUGS += (
    "Eylea|Lucentis|Skyrizi|Rinvoq|Xeljanz|Olumiant|Tremfya|Taltz|Cimzia|Simponi|Orencia|Actemra|Kevzara|"
    "Entyvio|Zeposia|Ocrevus|Tysabri|Kesimpta|Copaxone|Avonex|Rebif|Betaseron|Gilenya|Aubagio|Tecfidera|"
    "Repatha|Praluent|Zetia|Vytorin|Tricor|Lovaza|Vascepa|Welchol|Niaspan|Pravachol|Livalo|Bystolic|"
    "Benicar|Diovan|Cozaar|Hyzaar|Micardis|Avapro|Atacand|Tekturna|Norvasc|Cardizem|Procardia|Verapamil|"
    "Tikosyn|Multaq|Betapace|Pacerone|Rythmol|Lanoxin|digoxin|Brilinta|Effient|Pradaxa|Savaysa|Lovenox|"
    "Arixtra|Linzess|Trulance|Amitiza|Motegrity|Xifaxan|Viberzi|Lialda|Asacol|Pentasa|Uceris|Colazal|"
    "Dexilant|Aciphex|Prevacid|Carafate|Bentyl|Levsin|Librax|Compazine|Phenergan|Antivert|Transderm Scop|"
    "Actonel|Boniva|Forteo|Tymlos|Miacalcin|Maxalt|Relpax|Zomig|Frova|Amerge|Axert|Fioricet|Cafergot|"
    "Qulipta|Vyepti|Topamax|Zonegran|Briviact|Vimpat|Xcopri|Fycompa|Banzel|Onfi|clobazam|Sabril|Felbatol|"
    "Dilantin|Trileptal|Aptiom|Gabitril|Mysoline|Epidiolex|Nuedexta|Ingrezza|Austedo|Xenazine|Rytary|"
    "Azilect|Requip|Mirapex|Neupro|Nuplazid|Razadyne|Exelon|Leqembi|Kisunla|Belsomra|Dayvigo|Lunesta|"
    "Rozerem|Silenor|Restoril|Halcion|Hetlioz|Provigil|Nuvigil|Sunosi|Wakix|Xyrem|Latuda|Vraylar|Rexulti|"
    "Caplyta|Geodon|Invega|Fanapt|Saphris|Haldol|Clozaril|Remeron|Trintellix|Viibryd|Pristiq|Fetzima|"
    "Emsam|Parnate|Nardil|Anafranil|Pamelor|Elavil|Spravato|Auvelity|Intuniv|Kapvay|Qelbree|Focalin|"
    "Daytrana|Evekeo|Zenzedi|Mydayis|Dexedrine|Contrave|Saxenda|Wegovy|Zepbound|Qsymia|Alli|Rybelsus|"
    "Bydureon|Byetta|Soliqua|Xultophy|Invokana|Steglatro|Glyxambi|Janumet|Tradjenta|Onglyza|Starlix|"
    "Prandin|Precose|Amaryl|glimepiride|Afrezza|Fiasp|Lyumjev|Semglee|Levemir|NPH|Cytomel|Tirosint|"
    "methimazole|PTU|Tapazole|Florinef|dexamethasone|Medrol|Decadron|Kenalog|Solu-Medrol|Acthar|Zilretta|"
    "Synvisc|Euflexxa|Supartz|Krystexxa|allopurinol|Uloric|colchicine|Colcrys|Mitigare|Arava|Azulfidine|"
    "Imuran|CellCept|Rapamune|Prograf|tacrolimus|Neoral|Benlysta|Lupkynis|Saphnelo|Rituxan|Soliris|"
    "Gleevec|Sprycel|Tasigna|Ibrance|Kisqali|Verzenio|Tagrisso|Xtandi|Zytiga|Erleada|Lupron|Eligard|"
    "Zoladex|Faslodex|Herceptin|Perjeta|Kadcyla|Enhertu|Avastin|Erbitux|Xeloda|Temodar|Lynparza|Zejula|"
    "Revlimid|Pomalyst|Velcade|Darzalex|Imbruvica|Calquence|Venclexta|FOLFOX|R-CHOP|Abraxane|Gemzar|"
    "Procrit|Aranesp|Epogen|Retacrit|Injectafer|Venofer|Feraheme|Neupogen|Promacta|Nplate|Hydrea|Oxbryta|"
    "Endari|Adakveo|Advate|Hemlibra|Biktarvy|Genvoya|Descovy|Truvada|Cabenuva|Dovato|Tivicay|Prezista|"
    "Epclusa|Mavyret|Harvoni|Vemlidy|Baraclude|Valtrex|Zovirax|Diflucan|Lamisil|Nizoral|Vfend|Plaquenil|"
    "Macrobid|Levaquin|Omnicef|Ceftin|Suprax|Duricef|Rocephin|clindamycin|Flagyl|Vancomycin|Dificid|Zyvox|"
    "Malarone|ivermectin|Albenza|Myrbetriq|Gemtesa|Vesicare|Detrol|Ditropan|Toviaz|Oxytrol|Uribel|"
    "Pyridium|Elmiron|Urocit-K|Rapaflo|Uroxatral|Jalyn|Levitra|Stendra|AndroGel|Testim|Clomid|Femara|"
    "Provera|Aygestin|Orilissa|Myfembree|Oriahnn|Lysteda|Vagifem|Estrace|Imvexxy|Osphena|Intrarosa|"
    "Climara|Vivelle|CombiPatch|Prempro|Duavee|Veozah|Yaz|Sprintec|Lo Loestrin|Junel|Apri|Kyleena|Liletta|"
    "Skyla|NuvaRing|Annovera|Xulane|Twirla|Slynd|Camila|Makena|Diclegis|Bonjesta|Methergine|Pitocin|"
    "Dulera|Breo|Trelegy|Anoro|Stiolto|Spiriva|Incruse|Tudorza|Qvar|Asmanex|Pulmicort|Alvesco|Arnuity|"
    "Xopenex|Combivent|DuoNeb|Ventolin|ProAir|Daliresp|Fasenra|Nucala|Xolair|Tezspire|Dupixent|Ofev|"
    "Esbriet|Tyvaso|Adempas|Opsumit|Uptravi|Orkambi|Trikafta|Pulmozyme|Hycodan|Tessalon|Nasonex|Dymista|"
    "Patanol|Pataday|Zaditor|Xiidra|Restasis|Travatan|Lumigan|Xalatan|Combigan|Cosopt|Alphagan|Durezol|"
    "Vigamox|Tobradex|Otovel|Ciprodex|Cerumenex|Debrox|Eucrisa|Protopic|Elidel|Opzelura|Vtama|Zoryve|"
    "Otezla|Sotyktu|Epiduo|Tazorac|Retin-A|Winlevi|Aczone|Soolantra|Metrogel|Finacea|Efudex|Aldara|Santyl|"
    "Silvadene|Medihoney|Mepilex|Aquacel|Tegaderm|Desitin|Aquaphor|Vaseline|CeraVe|Cetaphil|Eucerin|"
    "Similac|Enfamil|Nutramigen|Alimentum|Neocate|EleCare|PediaSure|Gerber|Pampers|Huggies|Depend|Kleenex|"
    "Gatorade|Metamucil|Benefiber|Citrucel|Senokot|Gas-X|Beano|Lactaid|Pepto-Bismol|Kaopectate|Alka-Seltzer|"
    "Theraflu|Delsym|Vicks|Zicam|Airborne|Emergen-C|Bayer|Excedrin|Midol|Goody's|Salonpas|Biofreeze|Icy Hot|"
    "Bengay|Aspercreme|Voltaren|Blue Emu|Arnica|Fitbit|Apple Watch|Garmin|Kardia|Omron|OneTouch|Accu-Chek|"
    "FreeStyle|Contour|Zio|LifeVest|Inogen|ResMed|DreamStation|AirSense|Auvi-Q|Suprep|GoLytely|Clenpiq|"
    "Plenvu|Cologuard|Fleet|Ex-Lax|LEVEMIR FLEXPEN|Humalog KwikPen|Novolin 70/30|Lantus SoloStar|HCTZ|"
    "benazepril|enalapril|ramipril|quinapril|candesartan|telmisartan|irbesartan|valsartan|nebivolol|"
    "bisoprolol|labetalol|propranolol|atenolol|clonidine|hydralazine|minoxidil|torsemide|bumetanide|"
    "metolazone|chlorthalidone|triamterene|ranolazine|isosorbide|nitroglycerin|amiodarone|flecainide|"
    "sotalol|apixaban|rivaroxaban|dabigatran|clopidogrel|ticagrelor|rosuvastatin|pravastatin|ezetimibe"
).split("|")
# Words that stand where a name could: greetings, characters, programmes, units of a hospital.
LOOKALIKES = (
    "Aloha|Salam|Namaste|Howdy|Hiya|Bonjour|Ciao|Greetings|Folks|Fellas|Team|Mahalo|Cheers|Sir|Madam|"
    "Elmo|Santa|Pokemon|Peppa Pig|Frozen|YouTube|TikTok|Zoom|FaceTime|"
    "Walmart parking lot|HIPAA|FMLA|COBRA|WIC|SNAP|ADA|IEP|504 plan|CoverMyMeds|"
    "MyChart|GoodRx|Medicare|Medicaid|Part D|Obamacare|the VA|Social Security|PHI|SBAR|POLST|DNR|MOCA|MMSE|"
    "Occupational Therapy|Podiatry|Audiology|Radiology|Cardiology|Urology|the front desk|community care|"
    "intake|scheduling|billing office|the garden center|daycare|the school nurse|the walk-in clinic|"
    "urgent care|the lab|the pharmacy downtown|the surgery center|memory care|assisted living|the hospital|"
    "church|the gym|the river|ring road|the mountain|my PT|the resident|the hospitalist|Mama|Papa|Abuela|"
    "Nana|Pop-pop|Auntie|Grandpa|Sis|Hubby|Babe|Honey|Doc|Miss|Ma'am|Lennox-Gastaut|Gaucher|Prader-Willi|"
    "Candida|E. coli|C. diff|H. pylori|Staph|Strep|Mono|Zika|Lyme|Giardia|Salmonella|Listeria|Shigella|"
    "Mediterranean diet|Atkins|Keto|Weight Watchers|Noom|Peloton|Pilates|Zumba|CrossFit|Tai Chi|Reiki|"
    "Palm Sunday|Ramadan|Eid|Diwali|Hanukkah|Lent|Juneteenth|Labor Day|the Fourth of July|Super Bowl|"
    "Sun|Mon|Tues|Weds|Thurs|Fri|Sat|English|Braille|Velcro|Teflon|Jello|Popsicle|Band-Aid|Q-tip|Tupperware"
).split("|")
