# ruff: noqa: E501  word lists
"""Write workers/deid/known_names.txt: words that are names of people, towns or organisations.

    python -m training.deid.known_names > workers/deid/known_names.txt

From Faker's name lists (MIT) and this project's own lists; without words that are ordinary English
or Spanish, or medicine: those only the token classifier may judge.
"""

from __future__ import annotations

import re
import textwrap
from importlib import import_module

from training.deid import pools, words
from workers.deid.language import ENGLISH, SPANISH
from workers.deid.lists import clinical_words

LOCALES = (
    "en_US en_GB en_IN en_NZ en_IE es_MX es_ES es_CO fr_FR pt_BR de_DE it_IT nl_NL pl_PL vi_VN yo_NG "
    "ha_NG ig_NG zu_ZA tr_TR id_ID sv_SE"
).split()
MORE_ORGANISATIONS = (
    "Moda Wellmark CareFirst Florida Blue Capital Sentara Quartz Dean Bright Clover Cigna Evernorth "
    "Prime Surescripts CoverMyMeds Navitus MedImpact Elixir Walmart Walgreen Longs Thrifty Shaws Raleys "
    "Bashas Brookshires Schnucks Dillons Frys Smiths Kinney Navarro Sysco Amedisys Encompass Brookdale "
    "Sunrise Genesis Kindred LabCorp BioReference Sonora Myriad Invitae Natera Exact Genworth Allstate "
    "Geico Progressive Nationwide Lemonade Prudential Lincoln Cigna Fidelity Aramark Sodexo Instacart"
).split()
ORDINARY = frozenset(
    "miss mister doctor nurse baby boy girl mother father son daughter brother sister princess "
    "christian english french german spanish irish welsh america israel jordan china india asia "
    "london paris houston austin dallas boston orlando savannah virginia georgia carolina florence "
    "madison lincoln washington franklin jackson monday tuesday friday sunday january february "
    "march july august september october november december spring star hero legend justice noble "
    "honest loyal brave happy lucky golden silver diamond crystal marine sailor forest garden "
    "meadow stream storm cloud rain shine light dark night morning evening early late new old big "
    "little great grand rock stone iron steel copper gold cotton silk velvet lace pepper sugar "
    "honey candy cherry apple berry plum peach lemon olive pine oak ash elm birch willow reed fern "
    "moss clover bean corn wheat barley flower bloom bud leaf root branch seed bell ball bar base "
    "bass bay beach bear bee bird blade bond book boot bow box boy brand bread bridge bright broad "
    "burn burns bush camp can cane cannon cap card care case cash cast chance charm child city "
    "clear cloth coach coal coast cold cole come con cool core cost count court cover cream cross "
    "crow cup curl curry dance dare date day deal dear deep dew dial diet dill dose draw dream "
    "drive drop dry dust ear ease east edge egg else even ever eye face fair fall fan far farm fast "
    "fat fear feed feel few fight fill fine fire fish fit flat flint flood foot force ford form fort "
    "found free fresh full game gate gay gift give glad glass goal good grass grave green grey grow "
    "guard guest gun hair hall ham hand hard harm heal health heart heat heavy help hide high hip "
    "hit hold hole home hook horn horse hot hour house hunt hurt ice ill inn jewel job joint judge "
    "jump key kid kind kiss kit knee land lane large last laugh law lay lead lean leave left less "
    "level life lime line link lip list live load lock loss loud luck lump lung made maid mail main "
    "make male man many map mark mason mass mat match mate meal mean meat med meet mild mile milk "
    "mill mind mine mint mix mole mood moral most mount mouse mouth move much must nail neck need "
    "nice noon norm nose note nut oil one open order pace pack pain pair pal pan part pass past "
    "path pay peak pen pet pick pill pin pink pitch plan plant play plus point pool poor post pot "
    "pound power press price pride prime pulse pump pure push quick race rash rate raw real red rent "
    "rest rib rice rich ride right ring ripe rise road roll roof room rope rose rough round row run "
    "rush safe sage said sale salt sand save say school sea seal see self sell send sense set share "
    "sharp ship shoe shop short shot show side sign sin sing sink sit six size skin sleep slow small "
    "smart smell smoke snow soap soft sole son song soon sore sort soul sound south spot staff stage "
    "stand start state stay step still stock stop street strong such suit summer sun sure sweet "
    "swift swim table tail take talk tall taste tea team tell ten test thick thin time tip toe tone "
    "tool top touch tough tour town track trade train tree trip true trust try turn two van vein "
    "very view visit voice wait wake walk wall want war warm wash watch water wave way wear week "
    "weigh well west white whole wide wife wild will win wind wing winter wire wise wish wolf woman "
    "wood wool word work world worth wound write wrong year yes young zone ana ama asa eda ira ima "
    "ila una era sol luz paz mar rey cruz rosa blanca clara dolores consuelo remedios socorro luna "
    "cielo flor alma vida vera gracia prima major general chief sergeant private page perry "
    "bright capital dean clover prime exact sunrise genesis progressive fidelity lemonade florida blue "
    "elixir quartz chop scan legacy banner dignity swedish guardian horizon independence alignment "
    "devoted vanderbilt tricare boots advocate beacon ascension quest essentia stanford cobra optima surprise normal "
    "hell paradise carefree friendship reading mobile orange globe rifle hazard plains sisters".split()
)


def main() -> None:
    """Print the lists, wrapped, each after its type."""
    not_names = {
        word.lower()
        for entry in (*words.WORD_NAMES, *words.WORD_SURNAMES, *words.EPONYMS, *words.LOOKALIKES)
        for word in re.findall(r"[^\W\d_]+", entry)
    }
    taken = not_names | ORDINARY | ENGLISH | SPANISH | clinical_words()
    lists = {
        "NAME": _people(),
        "ORG": [*words.PHARMACIES, *words.INSURERS, *words.HOSPITALS, *MORE_ORGANISATIONS],
        "ADDRESS": words.TOWNS,
    }
    print("# Made by training/deid/known_names.py: names that are hardly ever anything else.")
    for kind, entries in lists.items():
        kept = {
            entry.lower()
            for entry in entries
            if re.fullmatch(r"[A-ZÀ-Þ][A-Za-zÀ-ÿ]{2,14}", entry) and entry.lower() not in taken
        }
        taken |= kept
        print(f"[{kind}]")
        print("\n".join(textwrap.wrap(" ".join(sorted(kept)), 98)))


def _people() -> set[str]:
    drawn = {*pools.MORE_FIRST, *pools.MORE_LAST}
    for locale in LOCALES:
        provider = import_module(f"faker.providers.person.{locale}").Provider
        for field in dir(provider):
            if re.fullmatch(r"(?:first_names?|last_names?)(?:_\w+)?", field):
                drawn.update(_flat(getattr(provider, field)))
    return drawn


def _flat(value: object) -> set[str]:
    if isinstance(value, str):
        return {value}
    if isinstance(value, dict | list | tuple | set):
        return {name for one in value for name in _flat(one)}
    return set()


if __name__ == "__main__":
    main()
