"use strict";
// The words of the pages' texts: everyday English, put together anew for every seed.

const split = text => text.trim().split(/\s+/);

const ADJECTIVES = split(`
  amber ancient basic big black blue bold brave bright broad broken brown busy calm cheap clean clear clever cold cool copper cosy crisp
  cubic curly daily damp dark deep dense double dry dusty early easy electric empty endless English equal exact fair famous fancy fast fine
  flat flexible fluffy foreign formal fragile free French fresh frozen full funny gentle German giant glad golden grand green grey handy
  happy hard heavy hidden high hollow honest hot huge humble icy ideal indoor inner iron Italian jolly juicy keen kind large late lazy
  light little local lonely long loud low lucky magic marble mild mobile modern muddy musical narrow native neat new nice nimble noble
  noisy northern odd old open orange outdoor outer oval pale paper perfect pink plain plastic polar polite portable pretty proud public
  pure purple quick quiet rapid rare raw red regular rich ripe rough round royal rural rusty safe salty sandy secret sharp shiny short
  shy silent silky silver simple single slim slow small smart smooth soft solar solid southern Spanish spare spicy square steady steep
  sticky striped strong sunny sweet swift tall tame tasty thick thin tidy tiny tough tropical urban useful vague vast velvet violet vivid
  warm weak western wet white whole wide wild windy wise wooden yellow young`);

const NOUNS = split(`
  acorn airport album alley anchor angle ankle apple apron arch armour arrow atlas autumn badge balcony ball balloon band banner barn
  basin basket beach beacon bear bell belt bench berry bicycle bird blanket boat bolt book boot bottle bowl box bracelet branch brick
  bridge broom brush bucket buckle bus butterfly button cabin cable camel camera candle canoe canvas canyon cap carpet carrot castle cat
  cave ceiling cellar chain chair chalk chapel chart cherry chess chimney circus clock cloud clover coach coast coat coffee coin collar
  comet compass copy coral cork corner cottage cotton couch cradle crane crayon creek cricket crown crystal cup curtain cushion cycle
  desert desk diamond diary dog doll dolphin donkey door dragon drawer dress drill drum duck eagle easel echo elbow engine envelope fabric
  falcon farm feather fence fern ferry fiddle field fig finger flag flame flask flour flower flute forest fork fossil fountain fox frame
  frog fruit funnel galaxy garage garden gate giraffe glacier glass globe glove goat goose grape guitar hammer hammock harbour harp hat
  hedge helmet hill hinge honey hook horn horse hotel island ivory ivy jacket jar jewel jigsaw jungle kettle key kitchen kite kitten
  knife ladder lake lamp lantern laptop lawn leaf lemon lentil letter lever library lid lighthouse lily lion lizard lobster lock lotus
  magnet mango map marker mask meadow melon menu mirror mitten monkey moon motor mountain mouse museum mushroom napkin necklace needle
  nest novel nut oak oar oasis oboe ocean olive onion orchard orchid oven owl paddle page paint palace palm panda parcel park parrot
  passport path peach peanut pear pearl pebble pencil pepper piano picnic picture pigeon pillow pilot pine pipe pirate planet plate plum
  pocket poem pond pony poster potato prism pumpkin puppet puzzle pyramid quartz quilt rabbit radio raft railway rainbow raisin recipe
  ribbon ring river robot rocket roof rope rose rug ruler saddle sail salad sandal saucer scarf school scooter shark shed sheep shelf
  shell ship shirt shoe shovel skirt sky sled slipper snail soap sock sofa soup spider spoon squirrel stable stadium stair stamp star
  station stone stool stove straw street string suitcase summer sunset swan sweater swing sword table teapot temple tent theatre ticket
  tiger tile toast tower toy tractor train tray treasure tree trumpet tulip tunnel turtle umbrella vase village violin volcano wagon wall
  wallet walnut watch waterfall whale wheel whistle willow window winter wizard wolf yacht zebra zipper`);

const NAMES = split(`
  Ada Adam Aisha Alan Alice Amir Amy Ana Andre Anna Anton Ben Bella Boris Bruno Carla Carlos Cara Cecil Chloe Clara Colin Daniel Dana
  David Diana Diego Dora Edgar Elena Elias Ella Emil Emma Erik Esther Eva Farah Felix Fiona Frank Frida George Gina Greta Hana Hannah
  Harry Hassan Helen Henry Hugo Ian Ida Igor Ines Ingrid Iris Isaac Ivan Ivy Jack Jamal Jane Jasmin Joan Joel Jonas Julia Kai Karen
  Karim Kate Kenji Kim Lara Laura Leila Leo Lena Liam Linda Lisa Lucas Lucy Luis Mads Marco Maria Mark Marta Mary Max Maya Mia Mila Mona
  Nadia Nils Nina Noah Nora Olga Oliver Olivia Omar Oscar Otto Pablo Paul Paula Pavel Peter Petra Philip Rachel Rafael Ravi Rita Robin
  Rosa Ruben Ruth Sam Sara Sofia Simon Stella Sven Tara Thomas Tim Tina Tomas Uma Ursula Vera Victor Viola Walter Wendy Yara Yusuf Zoe`);

const CITIES = split(`
  Accra Amman Ankara Athens Bangkok Basel Bergen Berlin Bern Bogota Boston Bremen Bristol Brussels Cairo Calgary Cardiff Chicago Cork Dakar
  Dallas Delhi Denver Doha Dublin Geneva Genoa Ghent Glasgow Hanoi Havana Helsinki Istanbul Jakarta Kyoto Lagos Leeds Leipzig Lima
  Lisbon London Lyon Madrid Malaga Manila Mexico Miami Milan Moscow Mumbai Munich Nairobi Naples Nice Oslo Ottawa Oxford Paris Perth Porto
  Prague Quito Riga Rome Seoul Seville Sofia Sydney Tallinn Tampere Tokyo Toronto Tunis Turin Vienna Vilnius Warsaw York Zagreb Zurich`);

// What can be done with any noun, and with any person.
const WITH_A_THING = split(`
  borrow bring build buy carry check clean collect copy cover cut draw drop dust empty fetch fill fix fold frame give hang hide lend lift
  mend mount move oil order pack paint patch pick polish post print repair rent return seal sell send sew sort stack store test trim wash
  weigh wrap`);
const WITH_A_PERSON = split("answer ask call email greet help invite meet pay phone remind see text thank visit warn");
